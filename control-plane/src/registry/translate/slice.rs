//! EndpointSlice.

use k8s_openapi::api::{
    core::v1::ObjectReference,
    discovery::v1::{Endpoint, EndpointConditions, EndpointSlice},
};
use weft_api::ServiceName;

use super::{Field, Finding, Problem, is_tcp, name, port};
use crate::index::{ObjectName, Slice, SliceEndpoint, SlicePort};

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An EndpointSlice as the index holds it. None: it belongs to no Service, or holds names instead of addresses, as those of
/// other controllers may.
///
/// # Errors
/// Its name, an address or a port is not one.
pub fn slice(slice: &EndpointSlice) -> Result<Option<Slice>, Finding> {
    let object = name(&slice.metadata)?;
    let Some(service) = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME)) else {
        return Ok(None);
    };
    if !matches!(&*slice.address_type, "IPv4" | "IPv6") {
        return Ok(None);
    }
    let field = || Field::new("metadata.labels").key(SERVICE_NAME);
    let service = ServiceName::new(&object.namespace, service)
        .map_err(|_| Finding { field: field(), problem: Problem::NotAName(service.clone()) })?;
    let mut endpoints = Vec::new();
    for (at, endpoint) in slice.endpoints.iter().enumerate() {
        endpoints.extend(one_endpoint(at, endpoint, &object)?);
    }
    Ok(Some(Slice { name: object, service, ports: ports(slice)?, endpoints }))
}

fn ports(slice: &EndpointSlice) -> Result<Vec<SlicePort>, Finding> {
    let mut ports = Vec::new();
    for (at, wire) in slice.ports.iter().flatten().enumerate() {
        let Some(number) = wire.port.filter(|_| is_tcp(wire.protocol.as_deref())) else { continue };
        let field = || Field::new("ports").index(at).key("port");
        let port =
            port(number).ok_or_else(|| Finding { field: field(), problem: Problem::NotAPort(number.to_string()) })?;
        ports.push(SlicePort { name: wire.name.clone().unwrap_or_default(), port });
    }
    Ok(ports)
}

/// None: it does not serve, or has no address.
fn one_endpoint(at: usize, wire: &Endpoint, slice: &ObjectName) -> Result<Option<SliceEndpoint>, Finding> {
    let Some(terminating) = standing(wire.conditions.as_ref()) else { return Ok(None) };
    let Some(text) = wire.addresses.first() else { return Ok(None) };
    let field = || Field::new("endpoints").index(at).key("addresses").index(0);
    let address = text.parse().map_err(|_| Finding { field: field(), problem: Problem::NotAnAddress(text.clone()) })?;
    let zones = wire.hints.iter().flat_map(|hints| hints.for_zones.iter().flatten());
    let nodes = wire.hints.iter().flat_map(|hints| hints.for_nodes.iter().flatten());
    Ok(Some(SliceEndpoint {
        address,
        pod: wire.target_ref.as_ref().and_then(|target| own_pod(target, slice)),
        zone: wire.zone.clone().unwrap_or_default(),
        node: wire.node_name.clone().unwrap_or_default(),
        zone_hints: zones.map(|zone| zone.name.clone()).collect(),
        node_hints: nodes.map(|node| node.name.clone()).collect(),
        terminating,
    }))
}

/// The pod that is named. None: it is another kind of object, or is elsewhere.
fn own_pod(target: &ObjectReference, slice: &ObjectName) -> Option<ObjectName> {
    let is_pod = target.kind.as_deref() == Some("Pod");
    let is_near = target.namespace.as_deref().is_none_or(|namespace| *namespace == *slice.namespace);
    let name = target.name.as_deref().filter(|_| is_pod && is_near)?;
    Some(ObjectName { namespace: slice.namespace.clone(), name: name.into() })
}

/// Whether it only serves until it ends. None: it does not serve. `publishNotReadyAddresses` has been seen to by whoever
/// has written the slice: what is to be reached all the same says that it is ready.
fn standing(conditions: Option<&EndpointConditions>) -> Option<bool> {
    // "A nil value should be interpreted as true" (Kubernetes API, EndpointConditions.ready).
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let holds = |condition: fn(&EndpointConditions) -> Option<bool>| conditions.and_then(condition) == Some(true);
    let ending = holds(|conditions| conditions.serving) && holds(|conditions| conditions.terminating);
    if ready { Some(false) } else { ending.then_some(true) }
}
