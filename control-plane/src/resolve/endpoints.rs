//! A destination's endpoints.
//!
//! An EndpointSlice says where; only a Pod object with that address in the Service's own namespace says who. So a
//! hand-written slice cannot give a foreign address an identity, nor lend one pod another's. A slice that names a pod can only
//! hold an endpoint back: until that pod is known at that address, and once another has the address.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use weft_api::{Destination, EndpointView};

use super::{Mesh, identity, newest};
use crate::index::{Index, ObjectName, Service, SliceEndpoint};

/// The endpoints of a Service's port, by address. None: there is no such Service, or it has no such port.
///
/// Which of them a client uses by where it runs, its proxy decides: the list is the same for all.
pub fn endpoints(index: &Index, destination: &Destination, mesh: &Mesh) -> Option<Vec<EndpointView>> {
    let service = index.service(&destination.service)?;
    let port = service.ports.iter().find(|port| port.port == destination.port)?;
    let mut found: BTreeMap<SocketAddr, EndpointView> = BTreeMap::new();
    for slice in index.slices_of(&service.name) {
        let Some(target) = slice.ports.iter().find(|one| one.name == port.name) else { continue };
        for endpoint in &slice.endpoints {
            let address = SocketAddr::new(endpoint.address, target.port);
            let Some(view) = view(index, service, address, endpoint, mesh) else { continue };
            // It may stand in two slices for a moment, while Kubernetes moves it.
            found.entry(address).and_modify(|known| known.terminating &= view.terminating).or_insert(view);
        }
    }
    Some(serving(of_one_family(found, service), service))
}

/// What is about to end is used only when nothing else is there. Where clients use their own node's alone that is seen
/// node by node.
fn serving(found: BTreeMap<SocketAddr, EndpointView>, service: &Service) -> Vec<EndpointView> {
    let only_terminating = found.values().all(|view| view.terminating);
    let is_used = |view: &EndpointView| service.node_local || only_terminating || !view.terminating;
    found.into_values().filter(is_used).collect()
}

/// A dual-stack Service names each pod twice. Clients use the Service's first family, unless only the other is there.
fn of_one_family(
    mut found: BTreeMap<SocketAddr, EndpointView>,
    service: &Service,
) -> BTreeMap<SocketAddr, EndpointView> {
    let wants_v6 = match service.addresses.first() {
        Some(address) => address.is_ipv6(),
        None => !found.keys().any(SocketAddr::is_ipv4),
    };
    if found.keys().any(|address| address.is_ipv6() == wants_v6) {
        found.retain(|address, _| address.is_ipv6() == wants_v6);
    }
    found
}

/// None: the pod that the slice names is not known at this address (yet, or any more). In plaintext a meshed pod would be
/// reached by mistake, and as another pod the one that has the address now.
fn view(
    index: &Index,
    service: &Service,
    address: SocketAddr,
    endpoint: &SliceEndpoint,
    mesh: &Mesh,
) -> Option<EndpointView> {
    let own = index.pods_at(address.ip()).filter(|pod| pod.name.namespace == service.name.namespace);
    let pod = newest(own);
    let is_on_host = |name: &ObjectName| index.pod(name).is_some_and(|pod| pod.host_network);
    let is_settled = |name: &ObjectName| pod.is_some_and(|pod| pod.name == *name) || is_on_host(name);
    endpoint.pod.as_ref().is_none_or(is_settled).then(|| EndpointView {
        address,
        identity: pod.and_then(|pod| identity(pod, mesh)),
        weight: 1,
        zone: endpoint.zone.clone(),
        node: endpoint.node.clone(),
        zone_hints: endpoint.zone_hints.clone(),
        node_hints: endpoint.node_hints.clone(),
        // A pod's own object tells of its end before the slice does.
        terminating: endpoint.terminating || pod.is_some_and(|pod| pod.terminating),
        node_local: service.node_local,
        pod: pod.map(|pod| pod.name.to_string()).unwrap_or_default(),
    })
}
