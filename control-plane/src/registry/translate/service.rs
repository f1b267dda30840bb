//! Service.

use k8s_openapi::{
    api::core::v1::{Service as KubernetesService, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use weft_api::{AppProtocol, ServiceName};

use super::{Field, Finding, Problem, app_protocol, is_tcp, name, opaque_ports, port};
use crate::index::{Port, PortRange, Service, TargetPort};

/// A Service as the index holds it. None: an ExternalName, which leads nowhere in the cluster.
///
/// # Errors
/// Its name, an address or a port is not one.
pub fn service(service: &KubernetesService, warnings: &mut Vec<Finding>) -> Result<Option<Service>, Finding> {
    let object = name(&service.metadata)?;
    let name = ServiceName::new(&object.namespace, &object.name)
        .map_err(|_| Finding::at("metadata.name", Problem::NotAName(object.to_string())))?;
    let Some(spec) = &service.spec else { return Err(Finding::at("spec", Problem::Missing)) };
    if spec.type_.as_deref() == Some("ExternalName") {
        return Ok(None);
    }
    let opaque = opaque_ports(&service.metadata, warnings);
    let ports = spec.ports.iter().flatten().enumerate().filter(|(_, port)| is_tcp(port.protocol.as_deref()));
    let ports = ports.map(|(at, port)| one_port(at, port, &opaque)).collect::<Result<_, _>>()?;
    let selector = spec.selector.clone().unwrap_or_default();
    let node_local = spec.internal_traffic_policy.as_deref() == Some("Local");
    Ok(Some(Service { name, addresses: addresses(spec)?, ports, selector, node_local }))
}

fn addresses(spec: &ServiceSpec) -> Result<Vec<std::net::IpAddr>, Finding> {
    let texts = match (&spec.cluster_ips, &spec.cluster_ip) {
        (Some(many), _) if !many.is_empty() => many.iter().collect::<Vec<_>>(),
        (_, Some(one)) => vec![one],
        (_, None) => Vec::new(),
    };
    let real = texts.into_iter().filter(|text| !text.is_empty() && *text != "None");
    let parse =
        |text: &String| text.parse().map_err(|_| Finding::at("spec.clusterIP", Problem::NotAnAddress(text.clone())));
    real.map(parse).collect()
}

fn one_port(at: usize, wire: &ServicePort, opaque: &[PortRange]) -> Result<Port, Finding> {
    let field = |key| Field::new("spec.ports").index(at).key(key);
    let checked = |key, number: i32| {
        port(number).ok_or_else(|| Finding { field: field(key), problem: Problem::NotAPort(number.to_string()) })
    };
    let number = checked("port", wire.port)?;
    let target = match &wire.target_port {
        None | Some(IntOrString::Int(0)) => TargetPort::Number(number),
        Some(IntOrString::Int(target)) => TargetPort::Number(checked("targetPort", *target)?),
        Some(IntOrString::String(name)) => TargetPort::Name(name.clone()),
    };
    let is_opaque = opaque.iter().any(|range| range.contains(number));
    let protocol = if is_opaque { AppProtocol::Opaque } else { app_protocol(wire.app_protocol.as_deref()) };
    Ok(Port { port: number, name: wire.name.clone().unwrap_or_default(), protocol, target })
}
