//! Arbitrary objects and changes over a small world, so that they have to do with each other.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_api::RouteMatch;

use super::*;

pub(crate) const NAMESPACES: [&str; 2] = ["shop", "bank"];
pub(crate) const NAMES: [&str; 3] = ["users", "orders", "pay"];
const NODES: [&str; 2] = ["node-1", "node-2"];
const ZONES: [&str; 3] = ["", "a", "b"];
pub(crate) const ADDRESSES: [&str; 4] = ["10.1.0.1", "10.1.0.2", "10.1.1.1", "fd00::1"];

fn name() -> impl Strategy<Value = ObjectName> {
    (prop::sample::select(&NAMESPACES[..]), prop::sample::select(&NAMES[..]))
        .prop_map(|(namespace, name)| ObjectName::new(namespace, name))
}

fn service_name() -> impl Strategy<Value = ServiceName> {
    name().prop_map(|name| ServiceName { namespace: name.namespace, name: name.name })
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop::sample::select(&ADDRESSES[..]).prop_map(|text| text.parse().unwrap())
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(Just("app".to_owned()), prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 0..2)
}

fn service() -> impl Strategy<Value = Object> {
    let protocol = prop::sample::select(&[weft_api::AppProtocol::Detect, weft_api::AppProtocol::Opaque][..]);
    (service_name(), prop::collection::vec(address(), 0..2), labels(), 1u16..3, protocol).prop_map(
        |(name, addresses, selector, port, protocol)| {
            let port = Port { port, name: String::new(), protocol, target: TargetPort::Number(80) };
            Object::Service(Service { name, addresses, ports: vec![port], selector, node_local: false })
        },
    )
}

fn slice() -> impl Strategy<Value = Object> {
    let pod = prop::option::of(prop::sample::select(&NAMES[..]));
    let addresses = prop::collection::vec((address(), pod, any::<bool>()), 0..3);
    (name(), service_name(), addresses).prop_map(|(name, service, addresses)| {
        let service = ServiceName { namespace: name.namespace.clone(), ..service };
        let namespace = name.namespace.clone();
        let endpoint = |(address, pod, terminating): (_, Option<&str>, _)| SliceEndpoint {
            address,
            pod: pod.map(|pod| ObjectName::new(&namespace, pod)),
            zone: String::new(),
            node: String::new(),
            zone_hints: Vec::new(),
            node_hints: Vec::new(),
            terminating,
        };
        let ports = vec![SlicePort { name: String::new(), port: 80 }];
        Object::Slice(Slice { name, service, ports, endpoints: addresses.into_iter().map(endpoint).collect() })
    })
}

fn node_name() -> impl Strategy<Value = String> {
    prop::sample::select(&NODES[..]).prop_map(str::to_owned)
}

fn node() -> impl Strategy<Value = Object> {
    (node_name(), prop::sample::select(&ZONES[..]))
        .prop_map(|(name, zone)| Object::Node(Node { name: ObjectName::new("", &name), zone: zone.to_owned() }))
}

fn pod() -> impl Strategy<Value = Object> {
    let state = (any::<bool>(), any::<bool>(), any::<bool>(), node_name());
    (name(), 0..2i64, prop::collection::vec(address(), 0..2), labels(), state).prop_map(
        |(name, created, addresses, labels, (meshed, host_network, terminating, node))| {
            Object::Pod(Pod {
                name,
                uid: "".into(),
                created,
                workload: String::new(),
                addresses,
                host_network,
                service_account: "default".to_owned(),
                labels,
                meshed,
                ports: Vec::new(),
                opaque_ports: Vec::new(),
                node,
                terminating,
            })
        },
    )
}

fn route() -> impl Strategy<Value = Object> {
    (name(), service_name(), prop::option::of(1u16..3), service_name(), 1u16..3).prop_map(
        |(name, parent, port, service, to)| {
            let rule = Rule {
                name: "0".into(),
                matches: vec![RouteMatch::default()],
                backends: vec![BackendRef::Service { service, port: to, weight: 1 }],
                request_timeout: None,
                backend_request_timeout: None,
                retry: None,
            };
            let parents = vec![Parent { service: parent, port }];
            Object::Route(Route { name, created: 0, hostnames: Vec::new(), parents, rules: vec![rule] })
        },
    )
}

fn policy() -> impl Strategy<Value = Object> {
    (name(), labels(), any::<bool>()).prop_map(|(name, labels, require_mtls)| {
        let pods = Selector { labels, requirements: Vec::new() };
        Object::Policy(Policy { name, pods, ports: Vec::new(), require_mtls, allowed: None })
    })
}

pub(crate) fn object() -> impl Strategy<Value = Object> {
    prop_oneof![service(), slice(), node(), pod(), route(), policy()]
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Apply(Object),
    Delete(ObjectKey),
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![3 => object().prop_map(Change::Apply), 1 => object().prop_map(|one| Change::Delete(one.key()))]
}

impl Change {
    pub(crate) fn make(self, index: &mut Index, affected: &mut Affected) {
        match self {
            Self::Apply(object) => index.apply(object, affected),
            Self::Delete(key) => index.delete(&key, affected),
        }
    }
}
