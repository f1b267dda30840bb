//! Kubernetes manifests as the sandbox understands them.
//!
//! Reads YAML into checked values and names every field that it cannot honour. Does not run anything: `supervisor`
//! does. HTTPRoute, InboundPolicy and their like are kept as they came, for the control plane.

mod honoured;
mod meta;
mod pod;
mod probe;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use meta::Meta;
pub use pod::{Container, EnvValue, FieldRef, PodTemplate};
pub use probe::{Probe, ProbeAction, ProbePort};
pub use service::{Families, Service, ServicePort, TargetPort};

/// Label that asks for a sidecar, on a pod template or on a Namespace.
pub const INJECT_LABEL: &str = "weft.dev/inject";

/// Why manifests cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{origin} is not YAML")]
    Yaml {
        /// File and document.
        origin: String,
        /// Where and why.
        #[source]
        source: serde_yaml_ng::Error,
    },
    /// An object lacks a field, or has one of a wrong kind.
    #[error("{object}: {problem}")]
    Object {
        /// Kind, namespace and name of the object, as far as they are known.
        object: String,
        /// What is wrong, with the field's name.
        problem: String,
    },
    /// Nothing in the manifests can run.
    #[error("the manifests hold no Pod and no Deployment")]
    Empty,
}

/// What stands in the manifests of one sandbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifests {
    /// Labels of every Namespace object.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Pods and Deployments.
    pub workloads: Vec<Workload>,
    /// Services.
    pub services: Vec<Service>,
    /// Objects for the control plane, as they came.
    pub policies: Vec<Policy>,
    /// One line for each field or object that is not honoured.
    pub warnings: Vec<String>,
}

/// A Pod, or a Deployment of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many pods; `None` for a Pod object, which keeps its name.
    pub replicas: Option<u32>,
    /// What each pod is.
    pub template: PodTemplate,
}

/// An object that only the control plane reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub object: Value,
}

impl Manifests {
    /// Reads files, and every `.yaml` and `.yml` of a folder, in the order given.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds what [`Manifests::add`] refuses.
    pub fn read(paths: &[PathBuf]) -> Result<Self, ManifestError> {
        let mut manifests = Self::default();
        for path in paths {
            for file in files_of(path)? {
                let text = std::fs::read_to_string(&file)
                    .map_err(|source| ManifestError::Read { path: file.clone(), source })?;
                manifests.add(&text, &file.display().to_string())?;
            }
        }
        Ok(manifests)
    }

    /// Adds every document of `text`; `origin` is what errors call it.
    ///
    /// # Errors
    /// Text that is not YAML, and objects that cannot be run.
    pub fn add(&mut self, text: &str, origin: &str) -> Result<(), ManifestError> {
        for (number, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
            let object = Value::deserialize(document).map_err(|source| ManifestError::Yaml {
                origin: format!("{origin}, document {}", number + 1),
                source,
            })?;
            self.add_object(object)?;
        }
        Ok(())
    }

    /// Whether the pods of `workload` get a sidecar: by the template's label or by the namespace's.
    pub fn injected(&self, workload: &Workload) -> bool {
        let asks = |labels: &BTreeMap<String, String>| labels.get(INJECT_LABEL).map(|value| value == "enabled");
        asks(&workload.template.labels)
            .or_else(|| self.namespaces.get(&workload.namespace).and_then(asks))
            .unwrap_or(false)
    }

    /// Whether any pod gets a sidecar.
    pub fn any_injected(&self) -> bool {
        self.workloads.iter().any(|workload| self.injected(workload))
    }

    fn add_object(&mut self, object: Value) -> Result<(), ManifestError> {
        if object.is_null() {
            return Ok(());
        }
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if kind == "List" {
            let items = object["items"].as_array().cloned().unwrap_or_default();
            return items.into_iter().try_for_each(|item| self.add_object(item));
        }
        let meta = Meta::of(&object, &kind)?;
        self.warnings.extend(honoured::warnings(&kind, &meta.display(), &object));
        match kind.as_str() {
            "Namespace" => {
                self.namespaces.insert(meta.name, pod::labels(&object["metadata"]["labels"]));
            }
            "Pod" => {
                let template = PodTemplate::read(&object["metadata"], &object["spec"], &meta)?;
                self.workloads.push(Workload { namespace: meta.namespace, name: meta.name, replicas: None, template });
            }
            "Deployment" => {
                let inner = &object["spec"]["template"];
                let template = PodTemplate::read(&inner["metadata"], &inner["spec"], &meta)?;
                let replicas = match object["spec"].get("replicas") {
                    None | Some(Value::Null) => 1,
                    Some(count) => meta.number(count, "spec.replicas")?,
                };
                let replicas = Some(replicas);
                self.workloads.push(Workload { namespace: meta.namespace, name: meta.name, replicas, template });
            }
            "Service" => {
                self.services.push(Service::read(&object["spec"], &meta)?.described(&object["metadata"]));
            }
            _ => self.add_policy(object, meta),
        }
        Ok(())
    }

    fn add_policy(&mut self, object: Value, meta: Meta) {
        let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        let known = matches!(group, Some("gateway.networking.k8s.io" | "weft.dev" | "discovery.k8s.io"));
        if known {
            let Meta { kind, namespace, name } = meta;
            self.policies.push(Policy { kind, namespace, name, object });
        } else if !matches!(meta.kind.as_str(), "ServiceAccount") {
            self.warnings.push(format!("{}: this kind is not honoured", meta.display()));
        }
    }
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let read = |source| ManifestError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
