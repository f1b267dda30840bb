//! The objects that the index holds: what Weft needs of each Kubernetes kind, already checked.
//!
//! Registries make them (`registry/translate`); nothing here knows YAML or the Kubernetes API's own types.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use weft_api::{AppProtocol, ServiceName};

use super::{Policy, Route};

/// An object's place: namespace and name. Ordered by namespace first. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name within the namespace and kind.
    pub name: Arc<str>,
}

impl ObjectName {
    /// A name from its parts; the namespace is empty for what has none.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds that the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A [`Slice`].
    EndpointSlice,
    /// A [`Route`].
    HttpRoute,
    /// A [`Policy`].
    InboundPolicy,
    /// A [`Node`].
    Node,
    /// A [`Pod`].
    Pod,
    /// A [`Service`].
    Service,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::EndpointSlice, Self::HttpRoute, Self::InboundPolicy, Self::Node, Self::Pod, Self::Service];

    /// The kind as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndpointSlice => "EndpointSlice",
            Self::HttpRoute => "HTTPRoute",
            Self::InboundPolicy => "InboundPolicy",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
        }
    }
}

/// Which object is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its place.
    pub name: ObjectName,
}

/// Any object.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// Endpoints of a Service.
    Slice(Slice),
    /// Routes of Services.
    Route(Route),
    /// Who may call pods.
    Policy(Policy),
    /// A node.
    Node(Node),
    /// A pod.
    Pod(Pod),
    /// A Service.
    Service(Service),
}

impl Object {
    /// Which object this is.
    pub fn key(&self) -> ObjectKey {
        let (kind, name) = match self {
            Self::Slice(slice) => (ObjectKind::EndpointSlice, slice.name.clone()),
            Self::Route(route) => (ObjectKind::HttpRoute, route.name.clone()),
            Self::Policy(policy) => (ObjectKind::InboundPolicy, policy.name.clone()),
            Self::Node(node) => (ObjectKind::Node, node.name.clone()),
            Self::Pod(pod) => (ObjectKind::Pod, pod.name.clone()),
            Self::Service(service) => (ObjectKind::Service, ObjectName::from(&service.name)),
        };
        ObjectKey { kind, name }
    }
}

impl From<&ServiceName> for ObjectName {
    fn from(name: &ServiceName) -> Self {
        Self { namespace: name.namespace.clone(), name: name.name.clone() }
    }
}

/// A Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// ClusterIPs, the primary family first; none when headless.
    pub addresses: Vec<IpAddr>,
    /// Its TCP ports.
    pub ports: Vec<Port>,
    /// Labels of its pods; empty selects none.
    pub selector: BTreeMap<String, String>,
    /// Its ClusterIPs lead to pods of the client's own node alone (`internalTrafficPolicy: Local`).
    pub node_local: bool,
}

/// One TCP port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// 1–65535.
    pub port: u16,
    /// Its name, or empty.
    pub name: String,
    /// What it speaks, by `appProtocol` and the opaque-ports annotation.
    pub protocol: AppProtocol,
    /// The pod's port.
    pub target: TargetPort,
}

/// Which port of a pod a Service's port leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetPort {
    /// This one.
    Number(u16),
    /// The container port of this name, pod by pod.
    Name(String),
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Its name.
    pub name: ObjectName,
    /// The Service that it belongs to, in the slice's own namespace.
    pub service: ServiceName,
    /// Ports by the Service port's name.
    pub ports: Vec<SlicePort>,
    /// Addresses that serve.
    pub endpoints: Vec<SliceEndpoint>,
}

/// A port of every endpoint of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SlicePort {
    /// The Service port's name, or empty.
    pub name: String,
    /// The pod's port, 1–65535.
    pub port: u16,
}

/// One endpoint of a slice that serves.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceEndpoint {
    /// The pod's address (Kubernetes gives the first of the list meaning, the others none).
    pub address: IpAddr,
    /// The pod of the slice's own namespace that it is said to be, if one is named. Nothing is granted by that.
    pub pod: Option<ObjectName>,
    /// Topology zone, or empty.
    pub zone: String,
    /// Node name, or empty.
    pub node: String,
    /// Zones whose clients should use it.
    pub zone_hints: Vec<String>,
    /// Nodes whose clients should use it.
    pub node_hints: Vec<String>,
    /// It is not ready any more, but serves until it ends.
    pub terminating: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name; nodes have no namespace.
    pub name: ObjectName,
    /// Topology zone, or empty.
    pub zone: String,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// Tells it from others that had its name; empty where it is not said.
    pub uid: Box<str>,
    /// Seconds since the epoch; 0 where it is not said.
    pub created: i64,
    /// What it is one of, as people name it: its Deployment, StatefulSet, DaemonSet or Job; its own name where it is none's.
    pub workload: String,
    /// Addresses that are this pod's alone: none on the host's network, and none once it has ended.
    pub addresses: Vec<IpAddr>,
    /// It is on its node's network.
    pub host_network: bool,
    /// Its service account.
    pub service_account: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// A sidecar was put beside it.
    pub meshed: bool,
    /// TCP ports that its containers declare.
    pub ports: Vec<ContainerPort>,
    /// Ports that are never looked into.
    pub opaque_ports: Vec<PortRange>,
    /// The node that it runs on, or empty.
    pub node: String,
    /// Its deletion has begun.
    pub terminating: bool,
}

/// A TCP port that a container declares.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerPort {
    /// Its name, or empty.
    pub name: String,
    /// 1–65535.
    pub port: u16,
}

/// Ports from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl PortRange {
    /// Whether the port lies within.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}
