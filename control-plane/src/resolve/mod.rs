//! What one destination, or one workload, needs: pure functions from the index to the contract's views.
//!
//! Equal objects give equal views, on every replica and after every restart: whatever has no order of its own is
//! sorted. Nothing here encodes, versions or sends; that is `serve`.

mod endpoints;
mod inbound;
mod routes;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;
use weft_api::{ClusterView, PodView, ServiceName, ServicePort, ServiceView};
use weft_certs::SpiffeId;

pub use endpoints::endpoints;
pub use inbound::inbound;
pub use routes::routes;

use crate::index::{Index, Pod};

/// What of the mesh is settled by settings and not by objects.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// The SPIFFE trust domain.
    pub trust_domain: String,
    /// Of pods and Services; none: the blocks around the addresses that are known.
    pub ranges: Vec<IpNet>,
}

/// What the cluster is.
pub fn cluster(index: &Index, mesh: &Mesh) -> ClusterView {
    let mut ranges = if mesh.ranges.is_empty() { index.blocks().collect() } else { mesh.ranges.clone() };
    ranges = IpNet::aggregate(&ranges);
    ranges.sort();
    ClusterView { ranges, trust_domain: mesh.trust_domain.clone() }
}

/// A Service's place in the list of all Services. None: there is no such Service.
pub fn service(index: &Index, name: &ServiceName) -> Option<ServiceView> {
    let service = index.service(name)?;
    let view =
        |port: &crate::index::Port| ServicePort { port: port.port, name: port.name.clone(), protocol: port.protocol };
    let mut ports: Vec<ServicePort> = service.ports.iter().map(view).collect();
    ports.sort_by_key(|port| port.port);
    Some(ServiceView { addresses: service.addresses.clone(), ports })
}

/// The pod that has this address. None: no pod has it.
pub fn workload(index: &Index, address: IpAddr, mesh: &Mesh) -> Option<PodView> {
    let pod = newest(index.pods_at(address))?;
    Some(PodView {
        namespace: pod.name.namespace.to_string(),
        pod: pod.name.name.to_string(),
        identity: identity(pod, mesh),
        ports: inbound::ports(index, pod),
    })
}

/// The identity that a pod must prove. None: no sidecar stands beside it.
fn identity(pod: &Pod, mesh: &Mesh) -> Option<String> {
    if !pod.meshed {
        return None;
    }
    let id = SpiffeId::new(&mesh.trust_domain, &pod.name.namespace, &pod.service_account);
    id.ok().map(|id| id.to_string())
}

/// Of pods that claim the same address, the last one made: what went before has lost it.
fn newest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by(|one, other| one.created.cmp(&other.created).then_with(|| other.name.cmp(&one.name)))
}
