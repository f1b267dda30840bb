//! Pod templates: containers, and their environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ManifestError, Meta, Probe};

/// What every pod of a workload is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Labels of each pod.
    pub labels: BTreeMap<String, String>,
    /// Annotations of each pod.
    pub annotations: BTreeMap<String, String>,
    /// Service account; `default` where none is named.
    pub service_account: String,
    /// At least one.
    pub containers: Vec<Container>,
    /// Time between SIGTERM and SIGKILL; Kubernetes' default is 30 s.
    pub grace: Duration,
}

/// One container: a process of the host in the pod's namespaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its name within the pod.
    pub name: String,
    /// Program and arguments (`command` and `args` together), at least the program.
    pub command: Vec<String>,
    /// Environment in the order written.
    pub env: Vec<(String, EnvValue)>,
    /// Folder it starts in.
    pub working_dir: Option<PathBuf>,
    /// Named ports.
    pub ports: BTreeMap<String, u16>,
    /// When the container counts as ready; at once where there is no probe.
    pub readiness: Option<Probe>,
}

/// Value of one environment variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EnvValue {
    /// As written, `$(NAME)` expanded.
    Text(String),
    /// A field of the pod.
    Field(FieldRef),
}

/// A field of a pod that the environment can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldRef {
    /// `metadata.name`.
    Name,
    /// `metadata.namespace`.
    Namespace,
    /// `spec.serviceAccountName`.
    ServiceAccount,
    /// `status.podIP`.
    PodIp,
    /// `status.podIPs`, comma-separated.
    PodIps,
    /// `metadata.labels['...']`.
    Label(String),
    /// `metadata.annotations['...']`.
    Annotation(String),
}

impl PodTemplate {
    pub(super) fn read(metadata: &Value, spec: &Value, meta: &Meta) -> Result<Self, ManifestError> {
        let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if containers.is_empty() {
            return Err(meta.problem("the field containers is missing or empty"));
        }
        let account = spec["serviceAccountName"].as_str().or_else(|| spec["serviceAccount"].as_str());
        Ok(Self {
            labels: labels(&metadata["labels"]),
            annotations: labels(&metadata["annotations"]),
            service_account: account.unwrap_or("default").to_owned(),
            containers: containers.iter().map(|value| Container::read(value, meta)).collect::<Result<_, _>>()?,
            grace: meta.seconds(&spec["terminationGracePeriodSeconds"], 30)?,
        })
    }
}

impl Container {
    fn read(value: &Value, meta: &Meta) -> Result<Self, ManifestError> {
        let name = meta.text(&value["name"], "containers[].name")?;
        let mut command = meta.texts(&value["command"], "command")?;
        if command.is_empty() {
            return Err(meta.problem(format!(
                "container {name} has no command: the sandbox runs programs of this machine, not images, so write command"
            )));
        }
        command.extend(meta.texts(&value["args"], "args")?);
        let mut ports = BTreeMap::new();
        for port in value["ports"].as_array().into_iter().flatten() {
            let number = meta.number(&port["containerPort"], "containerPort")?;
            if let Some(name) = port["name"].as_str() {
                ports.insert(name.to_owned(), number);
            }
        }
        let env = value["env"].as_array().into_iter().flatten();
        Ok(Self {
            name,
            command,
            env: env.filter_map(|variable| read_env(variable, meta).transpose()).collect::<Result<_, _>>()?,
            working_dir: value["workingDir"].as_str().map(PathBuf::from),
            ports,
            readiness: Probe::read(&value["readinessProbe"], meta)?,
        })
    }
}

/// One variable; `None` where its source is not honoured (a warning has said so).
fn read_env(variable: &Value, meta: &Meta) -> Result<Option<(String, EnvValue)>, ManifestError> {
    let name = meta.text(&variable["name"], "env[].name")?;
    let value = match variable.get("valueFrom") {
        None | Some(Value::Null) => EnvValue::Text(variable["value"].as_str().unwrap_or_default().to_owned()),
        Some(source) => match source["fieldRef"]["fieldPath"].as_str() {
            None => return Ok(None),
            Some(path) => EnvValue::Field(
                FieldRef::read(path)
                    .ok_or_else(|| meta.problem(format!("env {name}: fieldPath {path} is not known to the sandbox")))?,
            ),
        },
    };
    Ok(Some((name, value)))
}

impl FieldRef {
    fn read(path: &str) -> Option<Self> {
        let quoted = |prefix: &str| {
            path.strip_prefix(prefix)?.strip_suffix("]").map(|key| key.trim_matches(['\'', '"']).to_owned())
        };
        Some(match path {
            "metadata.name" => Self::Name,
            "metadata.namespace" => Self::Namespace,
            "spec.serviceAccountName" => Self::ServiceAccount,
            "status.podIP" => Self::PodIp,
            "status.podIPs" => Self::PodIps,
            _ => quoted("metadata.labels[")
                .map(Self::Label)
                .or_else(|| quoted("metadata.annotations[").map(Self::Annotation))?,
        })
    }
}

/// A map of texts; what is no text is left out.
pub(super) fn labels(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
