//! Resources of the Watch stream as checked types, and their keys.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;

use crate::{Destination, InboundView, InvalidResource, RouteView, ServiceName, Version, name::parse, pb};

/// What a resource is called. Its content is looked up, subscribed and versioned by this.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Address ranges and trust domain. Sent to every proxy.
    Cluster,
    /// A Service's addresses and ports. Sent to every proxy.
    Service(ServiceName),
    /// A destination's endpoints. Subscribed.
    Endpoints(Destination),
    /// A destination's routes, as the proxy's namespace sees them. Subscribed.
    Routes(Destination),
    /// The pod that has this address. Subscribed.
    Workload(IpAddr),
    /// Policy of the proxy's own pod. Sent to every proxy.
    Inbound,
    /// Whom to trust. Sent to every proxy.
    TrustBundle,
}

/// A resource's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// See [`Key::Cluster`].
    Cluster(ClusterView),
    /// See [`Key::Service`].
    Service(ServiceView),
    /// See [`Key::Endpoints`].
    Endpoints(Vec<EndpointView>),
    /// See [`Key::Routes`].
    Routes(Vec<RouteView>),
    /// See [`Key::Workload`].
    Workload(PodView),
    /// See [`Key::Inbound`].
    Inbound(InboundView),
    /// See [`Key::TrustBundle`].
    TrustBundle(TrustBundleView),
}

/// What the cluster is.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterView {
    /// Of pods and Services. An address within that no destination has is not foreign.
    pub ranges: Vec<IpNet>,
    /// The SPIFFE trust domain.
    pub trust_domain: String,
}

/// A Service's place in the short list of all Services.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// ClusterIPs of both families; none for a headless Service.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePort {
    /// 1–65535.
    pub port: u16,
    /// Its name, or empty.
    pub name: String,
    /// What it speaks, as declared.
    pub protocol: AppProtocol,
}

/// What a port speaks, as declared by `appProtocol` or an opaque-ports annotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppProtocol {
    /// Nothing is declared: look.
    #[default]
    Detect,
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 by prior knowledge (`kubernetes.io/h2c`, gRPC).
    Http2,
    /// TLS, passed through.
    Tls,
    /// Bytes; never looked into.
    Opaque,
}

/// An endpoint of a destination.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointView {
    /// The pod's address and the app's port.
    pub address: SocketAddr,
    /// The SPIFFE id that it must prove; None: it is not meshed and gets plaintext.
    pub identity: Option<String>,
    /// Relative share of requests, at least 1.
    pub weight: u32,
    /// Topology zone, or empty.
    pub zone: String,
    /// Node name, or empty.
    pub node: String,
    /// Zones whose clients should use it; none: all.
    pub zone_hints: Vec<String>,
    /// Nodes whose clients should use it; none: all.
    pub node_hints: Vec<String>,
    /// It serves until it ends: only for when no other endpoint does.
    pub terminating: bool,
    /// Only clients of its own node may use it.
    pub node_local: bool,
    /// `namespace/name` of the pod, or empty.
    pub pod: String,
}

/// A pod, found by its address.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The SPIFFE id that it must prove; None: it is not meshed and gets plaintext.
    pub identity: Option<String>,
    /// Ports that are declared.
    pub ports: Vec<WorkloadPort>,
}

/// A port of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadPort {
    /// 1–65535.
    pub port: u16,
    /// What it speaks, as declared.
    pub protocol: AppProtocol,
    /// A Service that leads there, for metrics.
    pub service: Option<ServiceName>,
}

/// Trust anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundleView {
    /// Certificates in DER, at least one.
    pub anchors: Vec<Arc<[u8]>>,
    /// Who signs leaves now: hex of the SHA-256 of the issuer's public key. Empty: not said.
    pub issuer: String,
}

/// Checks a port's number.
pub(crate) fn port(field: &'static str, value: u32) -> Result<u16, InvalidResource> {
    u16::try_from(value)
        .ok()
        .filter(|port| *port != 0)
        .ok_or(InvalidResource::OutOfRange { field, value: value.into() })
}

fn address(text: &str) -> Result<IpAddr, InvalidResource> {
    text.parse().map_err(|source| InvalidResource::Address { text: text.to_owned(), source })
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl TryFrom<pb::ResourceKey> for Key {
    type Error = InvalidResource;

    fn try_from(key: pb::ResourceKey) -> Result<Self, InvalidResource> {
        Ok(match key.kind() {
            pb::Kind::Unspecified => return Err(InvalidResource::Unknown { field: "kind" }),
            pb::Kind::Cluster => Self::Cluster,
            pb::Kind::Service => Self::Service(parse(&key.name)?),
            pb::Kind::Endpoints => Self::Endpoints(parse(&key.name)?),
            pb::Kind::Routes => Self::Routes(parse(&key.name)?),
            pb::Kind::Workload => Self::Workload(address(&key.name)?),
            pb::Kind::Inbound => Self::Inbound,
            pb::Kind::TrustBundle => Self::TrustBundle,
        })
    }
}

impl From<&Key> for pb::ResourceKey {
    fn from(key: &Key) -> Self {
        let (kind, name) = match key {
            Key::Cluster => (pb::Kind::Cluster, String::new()),
            Key::Service(name) => (pb::Kind::Service, name.to_string()),
            Key::Endpoints(destination) => (pb::Kind::Endpoints, destination.to_string()),
            Key::Routes(destination) => (pb::Kind::Routes, destination.to_string()),
            Key::Workload(address) => (pb::Kind::Workload, address.to_string()),
            Key::Inbound => (pb::Kind::Inbound, String::new()),
            Key::TrustBundle => (pb::Kind::TrustBundle, String::new()),
        };
        Self { kind: kind.into(), name }
    }
}

impl Resource {
    /// Reads a resource: its key, version and checked content.
    ///
    /// # Errors
    /// [`InvalidResource`] says which field; the resource is then taken not at all.
    pub fn read(wire: pb::Resource) -> Result<(Key, Version, Self), InvalidResource> {
        use pb::resource::Content;
        let key = wire.key.ok_or(InvalidResource::Missing("key"))?.try_into()?;
        let content = match wire.content.ok_or(InvalidResource::Missing("content"))? {
            Content::Cluster(cluster) => Self::Cluster(cluster.try_into()?),
            Content::Service(service) => Self::Service(service.try_into()?),
            Content::Endpoints(list) => Self::Endpoints(all(list.endpoints)?),
            Content::Routes(list) => Self::Routes(all(list.routes)?),
            Content::Workload(pod) => Self::Workload(pod.try_into()?),
            Content::Inbound(inbound) => Self::Inbound(inbound.try_into()?),
            Content::TrustBundle(bundle) => Self::TrustBundle(bundle.try_into()?),
        };
        Ok((key, Version(wire.version), content))
    }

    /// The content as it travels, without key and version.
    pub fn into_content(self) -> pb::resource::Content {
        use pb::resource::Content;
        match self {
            Self::Cluster(cluster) => Content::Cluster(cluster.into()),
            Self::Service(service) => Content::Service(service.into()),
            Self::Endpoints(list) => {
                Content::Endpoints(pb::Endpoints { endpoints: list.into_iter().map(Into::into).collect() })
            }
            Self::Routes(list) => Content::Routes(pb::Routes { routes: list.into_iter().map(Into::into).collect() }),
            Self::Workload(pod) => Content::Workload(pod.into()),
            Self::Inbound(inbound) => Content::Inbound(inbound.into()),
            Self::TrustBundle(bundle) => Content::TrustBundle(bundle.into()),
        }
    }
}

fn all<W, T: TryFrom<W, Error = InvalidResource>>(list: Vec<W>) -> Result<Vec<T>, InvalidResource> {
    list.into_iter().map(T::try_from).collect()
}

impl TryFrom<pb::Cluster> for ClusterView {
    type Error = InvalidResource;

    fn try_from(cluster: pb::Cluster) -> Result<Self, InvalidResource> {
        let range = |text: String| text.parse().map_err(|source| InvalidResource::Range { text, source });
        let ranges = cluster.ranges.into_iter().map(range).collect::<Result<_, _>>()?;
        Ok(Self { ranges, trust_domain: cluster.trust_domain })
    }
}

impl From<ClusterView> for pb::Cluster {
    fn from(cluster: ClusterView) -> Self {
        Self { ranges: cluster.ranges.iter().map(ToString::to_string).collect(), trust_domain: cluster.trust_domain }
    }
}

impl TryFrom<pb::Service> for ServiceView {
    type Error = InvalidResource;

    fn try_from(service: pb::Service) -> Result<Self, InvalidResource> {
        let addresses = service.addresses.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        Ok(Self { addresses, ports: all(service.ports)? })
    }
}

impl From<ServiceView> for pb::Service {
    fn from(service: ServiceView) -> Self {
        Self {
            addresses: service.addresses.iter().map(ToString::to_string).collect(),
            ports: service.ports.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::ServicePort> for ServicePort {
    type Error = InvalidResource;

    fn try_from(wire: pb::ServicePort) -> Result<Self, InvalidResource> {
        let protocol = wire.protocol().try_into()?;
        Ok(Self { port: port("service.port", wire.port)?, name: wire.name, protocol })
    }
}

impl From<ServicePort> for pb::ServicePort {
    fn from(view: ServicePort) -> Self {
        Self { port: view.port.into(), name: view.name, protocol: pb::AppProtocol::from(view.protocol).into() }
    }
}

impl TryFrom<pb::AppProtocol> for AppProtocol {
    type Error = InvalidResource;

    fn try_from(protocol: pb::AppProtocol) -> Result<Self, InvalidResource> {
        Ok(match protocol {
            pb::AppProtocol::Unspecified => Self::Detect,
            pb::AppProtocol::Http1 => Self::Http1,
            pb::AppProtocol::Http2 => Self::Http2,
            pb::AppProtocol::Tls => Self::Tls,
            pb::AppProtocol::Opaque => Self::Opaque,
        })
    }
}

impl From<AppProtocol> for pb::AppProtocol {
    fn from(protocol: AppProtocol) -> Self {
        match protocol {
            AppProtocol::Detect => Self::Unspecified,
            AppProtocol::Http1 => Self::Http1,
            AppProtocol::Http2 => Self::Http2,
            AppProtocol::Tls => Self::Tls,
            AppProtocol::Opaque => Self::Opaque,
        }
    }
}

impl TryFrom<pb::Endpoint> for EndpointView {
    type Error = InvalidResource;

    fn try_from(wire: pb::Endpoint) -> Result<Self, InvalidResource> {
        Ok(Self {
            address: SocketAddr::new(address(&wire.address)?, port("endpoint.port", wire.port)?),
            identity: non_empty(wire.identity),
            weight: wire.weight.max(1),
            zone: wire.zone,
            node: wire.node,
            zone_hints: wire.zone_hints,
            node_hints: wire.node_hints,
            terminating: wire.terminating,
            node_local: wire.node_local,
            pod: wire.pod,
        })
    }
}

impl From<EndpointView> for pb::Endpoint {
    fn from(view: EndpointView) -> Self {
        Self {
            address: view.address.ip().to_string(),
            port: view.address.port().into(),
            identity: view.identity.unwrap_or_default(),
            weight: view.weight,
            zone: view.zone,
            node: view.node,
            zone_hints: view.zone_hints,
            node_hints: view.node_hints,
            terminating: view.terminating,
            node_local: view.node_local,
            pod: view.pod,
        }
    }
}

impl TryFrom<pb::PodWorkload> for PodView {
    type Error = InvalidResource;

    fn try_from(wire: pb::PodWorkload) -> Result<Self, InvalidResource> {
        Ok(Self {
            namespace: wire.namespace,
            pod: wire.pod,
            identity: non_empty(wire.identity),
            ports: all(wire.ports)?,
        })
    }
}

impl From<PodView> for pb::PodWorkload {
    fn from(view: PodView) -> Self {
        Self {
            namespace: view.namespace,
            pod: view.pod,
            identity: view.identity.unwrap_or_default(),
            ports: view.ports.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::WorkloadPort> for WorkloadPort {
    type Error = InvalidResource;

    fn try_from(wire: pb::WorkloadPort) -> Result<Self, InvalidResource> {
        Ok(Self {
            port: port("workload.port", wire.port)?,
            protocol: wire.protocol().try_into()?,
            service: if wire.service.is_empty() { None } else { Some(parse(&wire.service)?) },
        })
    }
}

impl From<WorkloadPort> for pb::WorkloadPort {
    fn from(view: WorkloadPort) -> Self {
        Self {
            port: view.port.into(),
            protocol: pb::AppProtocol::from(view.protocol).into(),
            service: view.service.map_or_else(String::new, |service| service.to_string()),
        }
    }
}

impl TryFrom<pb::TrustBundle> for TrustBundleView {
    type Error = InvalidResource;

    fn try_from(bundle: pb::TrustBundle) -> Result<Self, InvalidResource> {
        if bundle.anchors_der.is_empty() {
            return Err(InvalidResource::Missing("anchors_der"));
        }
        Ok(Self { anchors: bundle.anchors_der.into_iter().map(Into::into).collect(), issuer: bundle.issuer })
    }
}

impl From<TrustBundleView> for pb::TrustBundle {
    fn from(bundle: TrustBundleView) -> Self {
        Self { anchors_der: bundle.anchors.iter().map(|anchor| anchor.to_vec()).collect(), issuer: bundle.issuer }
    }
}
