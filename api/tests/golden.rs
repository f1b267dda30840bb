//! The contract of this release, as bytes: every later one reads them, and old proxies go on beside a new control plane.
//!
//! A file of tests/golden is never changed. What a later release says differently gets a file of its own beside it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use prost::Message;
use weft_api::{
    Key, Resource,
    pb::{
        self, certify_request::Proof, resource::Content, watch_request::Message as Asked,
        watch_response::Message as Answer,
    },
};

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes say this, and this is said in these bytes.
fn assert_golden<M>(name: &str, golden: &str, message: &M)
where
    M: Message + Default + PartialEq + std::fmt::Debug,
{
    let bytes = unhex(golden);
    assert_eq!(hex(&message.encode_to_vec()), hex(&bytes), "{name}: it is said differently");
    assert_eq!(M::decode(&*bytes).as_ref(), Ok(message), "{name}: it is read differently");
}

macro_rules! golden {
    ($name:literal, $message:expr) => {
        assert_golden($name, include_str!(concat!("golden/", $name, ".hex")), &$message)
    };
}

fn asked(message: Asked) -> pb::WatchRequest {
    pb::WatchRequest { message: Some(message) }
}

fn answered(message: Answer) -> pb::WatchResponse {
    pb::WatchResponse { message: Some(message) }
}

fn key(kind: pb::Kind, name: &str) -> pb::ResourceKey {
    pb::ResourceKey { kind: kind.into(), name: name.into() }
}

fn resource(kind: pb::Kind, name: &str, content: Content) -> pb::WatchResponse {
    let resource = pb::Resource { key: Some(key(kind, name)), version: 0x0102_0304_0506_0708, content: Some(content) };
    answered(Answer::Resource(resource))
}

#[test]
fn what_proxies_ask_is_read_for_ever() {
    let workload = pb::Workload {
        namespace: "shop".into(),
        pod: "orders-1".into(),
        service_account: "orders".into(),
        addresses: vec!["10.1.0.7".into(), "fd00::7".into()],
        zone: "a".into(),
        node: "n1".into(),
    };
    let endpoints = key(pb::Kind::Endpoints, "shop/users:80");
    let have = vec![pb::ResourceVersion { key: Some(endpoints.clone()), version: 7 }];
    let hello = pb::Hello { workload: Some(workload), proxy_version: "0.1.0".into(), have: have.clone() };
    golden!("hello", asked(Asked::Hello(hello)));
    golden!("subscribe", asked(Asked::Subscribe(pb::Subscribe { keys: vec![endpoints.clone()] })));
    golden!("unsubscribe", asked(Asked::Unsubscribe(pb::Unsubscribe { keys: vec![endpoints] })));
    golden!("applied", asked(Asked::Applied(pb::Applied { versions: have })));
    let report = pb::Report { bundle_version: 9, leaf_issuer: "ab".into(), leaf_expiry_unix_seconds: 1_800_000_000 };
    golden!("report", asked(Asked::Report(report)));
}

#[test]
fn what_they_are_answered_is_read_for_ever() {
    let cluster = pb::Cluster { ranges: vec!["10.0.0.0/8".into()], trust_domain: "cluster.local".into() };
    golden!("cluster", resource(pb::Kind::Cluster, "", Content::Cluster(cluster)));
    let port = pb::ServicePort { port: 80, name: "http".into(), protocol: pb::AppProtocol::Http2.into() };
    let service = pb::Service { addresses: vec!["10.96.0.1".into()], ports: vec![port] };
    golden!("service", resource(pb::Kind::Service, "shop/users", Content::Service(service)));
    let endpoint = pb::Endpoint {
        address: "10.1.0.7".into(),
        port: 8080,
        identity: "spiffe://cluster.local/ns/shop/sa/users".into(),
        weight: 1,
        zone: "a".into(),
        node: "n1".into(),
        zone_hints: vec!["a".into()],
        pod: "shop/users-1".into(),
        ..Default::default()
    };
    let endpoints = pb::Endpoints { endpoints: vec![endpoint] };
    golden!("endpoints", resource(pb::Kind::Endpoints, "shop/users:80", Content::Endpoints(endpoints)));
    let bundle = pb::TrustBundle { anchors_der: vec![vec![0x30, 0]], issuer: "ab".into() };
    golden!("trust-bundle", resource(pb::Kind::TrustBundle, "", Content::TrustBundle(bundle)));
    golden!("removed", answered(Answer::Removed(pb::Removed { key: Some(key(pb::Kind::Workload, "10.1.0.7")) })));
    golden!("synced", answered(Answer::Synced(pb::Synced {})));
}

#[test]
fn routes_and_policies_are_read_for_ever() {
    let path = pb::PathMatch { kind: Some(pb::path_match::Kind::Prefix("/v1".into())) };
    let header = pb::HeaderMatch { name: "x".into(), kind: Some(pb::header_match::Kind::Exact("1".into())) };
    let matches = pb::RouteMatch { path: Some(path), headers: vec![header], method: "GET".into(), query: Vec::new() };
    let route = pb::Route {
        name: "shop/users/0".into(),
        matches: vec![matches],
        backends: vec![pb::Backend { destination: "shop/users-v2:80".into(), weight: 1, invalid: false }],
        request_timeout_ms: 1000,
        backend_request_timeout_ms: 300,
        retry: Some(pb::Retry { codes: vec![503], attempts: 2, backoff_ms: 10 }),
        hostnames: vec!["users".into()],
    };
    golden!("routes", resource(pb::Kind::Routes, "shop/users:80", Content::Routes(pb::Routes { routes: vec![route] })));
    let pattern = pb::ClientPattern { namespace: "shop".into(), service_account: "*".into() };
    let rule = pb::InboundRule {
        require_mtls: true,
        policy: "shop/users".into(),
        all_of: vec![pb::ClientSet { patterns: vec![pattern] }],
    };
    let inbound = pb::Inbound { default_rule: Some(rule), node: "n1".into(), zone: "a".into(), ..Default::default() };
    golden!("inbound", resource(pb::Kind::Inbound, "", Content::Inbound(inbound)));
}

#[test]
fn requests_for_certificates_are_read_for_ever() {
    let request = |proof| pb::CertifyRequest { csr_der: vec![0x30, 0], proof: Some(proof) };
    golden!("certify-service-account", request(Proof::ServiceAccountToken("a.b.c".into())));
    golden!("certify-join-token", request(Proof::JoinToken("weft-join-00".into())));
    golden!("certify-renewal", request(Proof::Renewal(pb::Renewal {})));
    let bundle = pb::TrustBundle { anchors_der: vec![vec![0x30, 0]], issuer: "ab".into() };
    let response = pb::CertifyResponse {
        chain_der: vec![vec![0x30, 1, 0], vec![0x30, 0]],
        trust_bundle: Some(bundle),
        bundle_version: 9,
    };
    golden!("certified", response);
}

#[test]
fn what_a_later_release_adds_is_ignored() {
    // Field 99, a text, behind a report.
    let mut later = unhex(include_str!("golden/report.hex"));
    later.extend([0x9a, 0x06, 0x01, b'x']);
    let read = pb::WatchRequest::decode(&*later).unwrap();
    assert_eq!(read, pb::WatchRequest::decode(&*unhex(include_str!("golden/report.hex"))).unwrap());
    // A message that only a later release knows is no message, and no error.
    assert_eq!(pb::WatchResponse::decode(&[0x9a, 0x06, 0x01, b'x'][..]).unwrap().message, None);
    // A kind of resource that only a later release knows has no key here, and the stream goes on.
    let unknown = pb::ResourceKey { kind: 4711, name: "x".into() };
    assert!(Key::try_from(unknown.clone()).is_err());
    let resource = pb::Resource { key: Some(unknown), version: 1, content: None };
    assert!(Resource::read(resource).is_err());
}

#[test]
fn a_bundle_of_a_release_that_names_no_issuer_is_read() {
    // Field 1 alone: what the first release said.
    let old = pb::TrustBundle::decode(&[0x0a, 0x02, 0x30, 0x00][..]).unwrap();
    assert_eq!((old.anchors_der, old.issuer), (vec![vec![0x30, 0]], String::new()));
}
