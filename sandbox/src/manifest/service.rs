//! Services: selector, ports, address families.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ManifestError, Meta, pod};

/// A Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Labels of the pods behind it; empty selects none.
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Whether it has no address of its own (`clusterIP: None`).
    pub headless: bool,
    /// Addresses that the manifest asks for.
    pub wanted: Vec<IpAddr>,
    /// Families of its own addresses.
    pub families: Families,
    /// Annotations, which the control plane reads.
    pub annotations: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether pods that are not ready are published too.
    pub publish_not_ready: bool,
}

/// Address families of a Service. As in Kubernetes, IPv4 alone unless `ipFamilyPolicy` or `ipFamilies` say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families {
    /// Has an IPv4 address.
    pub v4: bool,
    /// Has an IPv6 address.
    pub v6: bool,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name, for more than one.
    pub name: Option<String>,
    /// Port of the Service.
    pub port: u16,
    /// Port of the pod.
    pub target: TargetPort,
    /// What is spoken there (`appProtocol`).
    pub app_protocol: Option<String>,
    /// Whether it is UDP; TCP otherwise.
    pub udp: bool,
}

/// Port of the pods behind a Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TargetPort {
    /// By number.
    Number(u16),
    /// By the container port's name.
    Name(String),
}

impl Service {
    pub(super) fn read(spec: &Value, meta: &Meta) -> Result<Self, ManifestError> {
        let ports = spec["ports"].as_array().into_iter().flatten();
        let headless = spec["clusterIP"].as_str() == Some("None");
        let asked = meta.texts(&spec["clusterIPs"], "spec.clusterIPs")?;
        let asked = asked.iter().map(String::as_str).chain(spec["clusterIP"].as_str());
        let mut wanted = Vec::new();
        for text in asked.filter(|text| *text != "None" && !text.is_empty()) {
            let address = text.parse().map_err(|_| meta.problem(format!("clusterIP {text} is no address")))?;
            if !wanted.contains(&address) {
                wanted.push(address);
            }
        }
        Ok(Self {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            selector: pod::labels(&spec["selector"]),
            ports: ports.map(|port| ServicePort::read(port, meta)).collect::<Result<_, _>>()?,
            headless,
            families: Families::read(spec, &wanted, meta)?,
            wanted,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
            publish_not_ready: spec["publishNotReadyAddresses"].as_bool().unwrap_or(false),
        })
    }

    /// With the object's labels and annotations.
    pub(super) fn described(mut self, metadata: &Value) -> Self {
        self.labels = pod::labels(&metadata["labels"]);
        self.annotations = pod::labels(&metadata["annotations"]);
        self
    }

    /// Whether a pod with these labels stands behind it.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.selector.is_empty() && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

impl Families {
    fn read(spec: &Value, wanted: &[IpAddr], meta: &Meta) -> Result<Self, ManifestError> {
        let listed = meta.texts(&spec["ipFamilies"], "spec.ipFamilies")?;
        let dual = matches!(spec["ipFamilyPolicy"].as_str(), Some("PreferDualStack" | "RequireDualStack"));
        let has = |family: &str, of: fn(&IpAddr) -> bool| {
            dual || listed.iter().any(|text| text == family) || wanted.iter().any(of)
        };
        let (v4, v6) = (has("IPv4", IpAddr::is_ipv4), has("IPv6", IpAddr::is_ipv6));
        Ok(Self { v4: v4 || !v6, v6 })
    }
}

impl ServicePort {
    fn read(value: &Value, meta: &Meta) -> Result<Self, ManifestError> {
        let port = meta.number(&value["port"], "spec.ports[].port")?;
        Ok(Self {
            name: value["name"].as_str().map(str::to_owned),
            port,
            target: match &value["targetPort"] {
                Value::Null => TargetPort::Number(port),
                Value::String(name) => TargetPort::Name(name.clone()),
                number => TargetPort::Number(meta.number(number, "spec.ports[].targetPort")?),
            },
            app_protocol: value["appProtocol"].as_str().map(str::to_owned),
            udp: value["protocol"].as_str() == Some("UDP"),
        })
    }
}
