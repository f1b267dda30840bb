//! Views as lines of text, short enough to be written by hand.

use weft_api::{AppProtocol, Backend, Destination, EndpointView, WorkloadPort};

use crate::{
    fixture::mesh,
    index::{Index, Pod, Service},
    resolve,
};

/// Everything that proxies could be sent.
pub(super) fn of(index: &Index) -> Vec<String> {
    let services = index.services().flat_map(|service| service_lines(index, service));
    services.chain(index.pods().flat_map(|pod| pod_lines(index, pod))).collect()
}

fn service_lines(index: &Index, service: &Service) -> Vec<String> {
    let name = &service.name;
    let view = resolve::service(index, name).unwrap();
    let addresses: Vec<_> = view.addresses.iter().map(ToString::to_string).collect();
    let ports: Vec<_> = view.ports.iter().map(|port| format!("{}{}", port.port, spoken(port.protocol))).collect();
    let mut lines = vec![format!("{name} at [{}] ports [{}]", addresses.join(" "), ports.join(" "))];
    for port in &view.ports {
        let destination = Destination { service: name.clone(), port: port.port };
        let endpoints = resolve::endpoints(index, &destination, &mesh()).unwrap();
        lines.extend(endpoints.iter().map(|view| format!("{destination} -> {}", endpoint(view))));
        for client in ["other", &name.namespace] {
            for route in resolve::routes(index, &destination, client).unwrap() {
                let backends: Vec<_> = route.backends.iter().map(backend).collect();
                lines.push(format!("{destination} from {client} by {} to [{}]", route.name, backends.join(" ")));
            }
        }
    }
    lines
}

fn pod_lines(index: &Index, pod: &Pod) -> Vec<String> {
    let mut lines = Vec::new();
    for address in &pod.addresses {
        let view = resolve::workload(index, *address, &mesh()).unwrap();
        let ports: Vec<_> = view.ports.iter().map(workload_port).collect();
        let identity = who(view.identity.as_deref());
        lines.push(format!("{address} is {}/{}{identity} ports [{}]", view.namespace, view.pod, ports.join(" ")));
    }
    let view = resolve::inbound(index, &pod.name).unwrap();
    if !view.zone.is_empty() {
        lines.push(format!("{} runs on {} in {}", pod.name, view.node, view.zone));
    }
    let strict = view.ports.iter().filter(|port| port.rule.require_mtls);
    lines.extend(strict.map(|port| format!("{} port {} demands mtls by {}", pod.name, port.port, port.rule.policy)));
    lines
}

fn endpoint(view: &EndpointView) -> String {
    let mut text = view.address.to_string();
    if !view.pod.is_empty() {
        text += &format!(" {}", view.pod);
    }
    text += &who(view.identity.as_deref());
    let words = [
        (!view.zone.is_empty(), format!(" in {}", view.zone)),
        (!view.node.is_empty(), format!(" on {}", view.node)),
        (!view.zone_hints.is_empty(), format!(" for zones {}", view.zone_hints.join(","))),
        (!view.node_hints.is_empty(), format!(" for nodes {}", view.node_hints.join(","))),
        (view.terminating, " terminating".to_owned()),
        (view.node_local, " node-local".to_owned()),
    ];
    words.into_iter().filter(|(said, _)| *said).for_each(|(_, word)| text += &word);
    text
}

fn backend(backend: &Backend) -> String {
    match backend {
        Backend::Destination { destination, weight } => format!("{destination}*{weight}"),
        Backend::Invalid { weight } => format!("invalid*{weight}"),
    }
}

fn workload_port(port: &WorkloadPort) -> String {
    let service = port.service.as_ref().map(|service| format!("={service}")).unwrap_or_default();
    format!("{}{}{service}", port.port, spoken(port.protocol))
}

fn who(identity: Option<&str>) -> String {
    identity
        .map(|identity| format!(" as {}", identity.trim_start_matches("spiffe://cluster.local/")))
        .unwrap_or_default()
}

fn spoken(protocol: AppProtocol) -> &'static str {
    match protocol {
        AppProtocol::Detect => "",
        AppProtocol::Http1 => "/http1",
        AppProtocol::Http2 => "/http2",
        AppProtocol::Tls => "/tls",
        AppProtocol::Opaque => "/opaque",
    }
}
