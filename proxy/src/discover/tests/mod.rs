//! The picture fed directly (`picture`), and through the Watch stream by a control plane in the process (`watch`).

mod picture;
mod plane;
mod watch;

use std::net::SocketAddr;

use weft_api::{
    AppProtocol, Backend as BackendView, ClusterView, Destination, EndpointView, Key, PodView, Resource, RouteView,
    ServicePort, ServiceView, WorkloadPort,
};

use super::*;
use crate::{address::OrigDst, policy::DestinationPolicy};

const USERS: &str = "shop/users:80";
const USERS_V2: &str = "shop/users-v2:80";
/// A ClusterIP, and a port that it has.
const USERS_AT: &str = "10.96.0.1:80";
const POD_AT: &str = "10.0.0.9:8080";
const FOREIGN_AT: &str = "192.0.2.1:443";

fn to(address: &str) -> OrigDst {
    OrigDst(address.parse().unwrap())
}

fn socket(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn destination(text: &str) -> Destination {
    text.parse().unwrap()
}

fn cluster() -> (Key, Resource) {
    let ranges = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    (Key::Cluster, Resource::Cluster(ClusterView { ranges, trust_domain: "mesh.local".into() }))
}

/// A Service with port 80 at this address.
fn service(name: &str, address: &str) -> (Key, Resource) {
    let port = ServicePort { port: 80, name: "http".into(), protocol: AppProtocol::Http1 };
    let view = ServiceView { addresses: vec![address.parse().unwrap()], ports: vec![port] };
    (Key::Service(name.parse().unwrap()), Resource::Service(view))
}

fn users() -> (Key, Resource) {
    service("shop/users", "10.96.0.1")
}

fn endpoint(address: &str) -> EndpointView {
    EndpointView {
        address: address.parse().unwrap(),
        identity: Some("spiffe://mesh.local/ns/shop/sa/users".into()),
        weight: 1,
        zone: String::new(),
        node: String::new(),
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
        terminating: false,
        node_local: false,
        pod: "shop/users-1".into(),
    }
}

fn endpoints(of: &str, addresses: &[&str]) -> (Key, Resource) {
    let views = addresses.iter().map(|address| endpoint(address)).collect();
    (Key::Endpoints(destination(of)), Resource::Endpoints(views))
}

/// One rule for all requests, to these destinations.
fn routes(of: &str, backends: &[&str]) -> (Key, Resource) {
    let to = |name: &&str| BackendView::Destination { destination: destination(name), weight: 1 };
    let rule = RouteView {
        name: "shop/users/0".into(),
        hostnames: Vec::new(),
        matches: Vec::new(),
        backends: backends.iter().map(to).collect(),
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
    };
    let rules = if backends.is_empty() { Vec::new() } else { vec![rule] };
    (Key::Routes(destination(of)), Resource::Routes(rules))
}

fn pod(name: &str) -> (Key, Resource) {
    let service = Some("shop/users".parse().unwrap());
    let view = PodView {
        namespace: "shop".into(),
        pod: name.into(),
        identity: Some("spiffe://mesh.local/ns/shop/sa/users".into()),
        ports: vec![WorkloadPort { port: 8080, protocol: AppProtocol::Http1, service }],
    };
    (Key::Workload(socket(POD_AT).ip()), Resource::Workload(view))
}

fn policy(target: Target) -> std::sync::Arc<DestinationPolicy> {
    let Target::Service(policy) = target else { panic!("{target:?} is no Service") };
    policy
}
