//! A pod as JSON, read where the injector must know something. What it does not know stays as it is.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::{PROXY_UID, Refusal, Skip, container};
use crate::registry::translate::INJECTED;

/// What the injector knows of the namespace that a pod is in.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels: what Pod Security it enforces.
    pub labels: BTreeMap<String, String>,
    /// Its annotations: defaults for its pods.
    pub annotations: BTreeMap<String, String>,
}

/// What a reserved name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Of a container of any kind.
    Container,
    /// Of a volume.
    Volume,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Volume => "volume",
        })
    }
}

/// One container of a pod, and where it stands.
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
    /// `spec.containers[0]`.
    path: String,
}

/// A pod (or a pod template), to be looked at.
#[derive(Clone, Copy)]
pub(super) struct Pod<'a> {
    value: &'a Value,
}

impl<'a> Pod<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Refusal> {
        if value["spec"]["containers"].is_array() { Ok(Self { value }) } else { Err(Refusal::NotAPod) }
    }

    /// A text of the spec.
    pub(super) fn text(&self, field: &str) -> Option<&'a str> {
        self.value["spec"][field].as_str()
    }

    /// Whether the pod as a whole asks for a resource, or may take only so much of it.
    pub(super) fn bounds(&self, resource: &str) -> bool {
        let all = &self.value["spec"]["resources"];
        !all["requests"][resource].is_null() || !all["limits"][resource].is_null()
    }

    pub(super) fn annotation(&self, name: &str) -> Option<&'a str> {
        self.value["metadata"]["annotations"][name].as_str()
    }

    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let all = self.value["metadata"]["annotations"].as_object();
        all.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Why it is left as it is, if it is.
    pub(super) fn skip(&self) -> Option<Skip> {
        let (metadata, spec) = (&self.value["metadata"], &self.value["spec"]);
        if metadata["labels"][super::INJECT] == "disabled" {
            return Some(Skip::Disabled);
        }
        if spec["hostNetwork"] == true {
            return Some(Skip::HostNetwork);
        }
        if self.annotation("kubernetes.io/config.mirror").is_some() {
            return Some(Skip::Static);
        }
        let is_windows = spec["os"]["name"] == "windows" || spec["nodeSelector"]["kubernetes.io/os"] == "windows";
        is_windows.then_some(Skip::Windows)
    }

    /// Whether the injector has been here: its mark and its sidecar.
    pub(super) fn is_injected(&self) -> Result<bool, Refusal> {
        let marked = self.annotation(INJECTED) == Some("true");
        let has_sidecar = self.initial().any(|one| one.name == container::PROXY && is_sidecar(one.value));
        if marked && !has_sidecar { Err(Refusal::FalseClaim) } else { Ok(marked) }
    }

    /// Refuses a pod that has not been injected yet and has a name that is the injector's.
    pub(super) fn check_names(&self) -> Result<(), Refusal> {
        let ours = |names: [&'static str; 2], name: &str| names.into_iter().find(|ours| *ours == name);
        if let Some(name) = self.containers().find_map(|one| ours(container::NAMES, one.name)) {
            return Err(Refusal::Reserved { what: Reserved::Container, name });
        }
        let volumes = self.value["spec"]["volumes"].as_array().into_iter().flatten();
        let mut names = volumes.filter_map(|volume| volume["name"].as_str());
        match names.find_map(|name| ours(container::VOLUMES, name)) {
            Some(name) => Err(Refusal::Reserved { what: Reserved::Volume, name }),
            None => Ok(()),
        }
    }

    /// Refuses containers beside the injector's own that cannot work, or would work around the mesh.
    pub(super) fn check_containers(&self) -> Result<(), Refusal> {
        for one in self.containers().filter(|one| !container::NAMES.contains(&one.name)) {
            self.check_user(&one)?;
            check_ports(&one)?;
        }
        Ok(())
    }

    /// The containers that run while the pod lives: its own, and its native sidecars.
    pub(super) fn lasting(&self) -> impl Iterator<Item = Container<'a>> {
        self.initial().filter(|one| is_sidecar(one.value)).chain(self.main())
    }

    fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.initial().chain(self.main())
    }

    fn main(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("containers")
    }

    fn initial(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("initContainers")
    }

    fn list(&self, field: &'static str) -> impl Iterator<Item = Container<'a>> {
        let all = self.value["spec"][field].as_array().into_iter().flatten().enumerate();
        all.map(move |(index, value)| Container {
            name: value["name"].as_str().unwrap_or_default(),
            value,
            path: format!("spec.{field}[{index}]"),
        })
    }

    /// The container's own word on its user counts, and the pod's where it has none.
    fn check_user(&self, one: &Container<'_>) -> Result<(), Refusal> {
        let own = one.value["securityContext"]["runAsUser"].as_i64();
        let pods = self.value["spec"]["securityContext"]["runAsUser"].as_i64();
        if own.or(pods) != Some(PROXY_UID) {
            return Ok(());
        }
        let field = if own.is_some() { one.path.clone() } else { "spec".to_owned() };
        Err(Refusal::ProxyUid { container: one.name.to_owned(), field })
    }
}

pub(super) fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn check_ports(one: &Container<'_>) -> Result<(), Refusal> {
    let declared = one.value["ports"].as_array().into_iter().flatten();
    let tcp = declared.filter(|port| port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP"));
    let mut numbers = tcp.filter_map(|port| port["containerPort"].as_u64());
    match numbers.find(|number| container::PORTS.iter().any(|(_, port)| u64::from(*port) == *number)) {
        Some(port) => Err(Refusal::PortTaken { container: one.name.to_owned(), port }),
        None => Ok(()),
    }
}

/// The object of a field, made where there is none.
pub(super) fn object_at<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let place = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    place.is_object().then_some(place)
}

/// The list of a field, made where there is none.
pub(super) fn list_at<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Vec<Value>> {
    let place = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    place.as_array_mut()
}
