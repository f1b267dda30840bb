//! A cluster in which all is well, written down, and what each rule says when one thing of it is not.

mod cluster;
mod control_plane;
mod injector;
mod workloads;

use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use serde::de::DeserializeOwned;
use weft_certs::{ServingAuthority, Validity};

use super::*;
use crate::check::facts::{Figures, Known, Right, Server, Unknown};
use crate::check::finding::Verdict;
use crate::check::report;

const DAY: Duration = Duration::from_secs(86_400);

/// An object, from YAML.
fn object<T: DeserializeOwned>(yaml: &str) -> T {
    serde_yaml_ng::from_str(yaml).unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

/// An authority and what it has signed for the webhook, in PEM.
fn certificates(begin: SystemTime, lifetime: Duration) -> (String, String) {
    let validity = Validity { not_before: begin, not_after: begin + lifetime };
    let authority = ServingAuthority::generate(validity).unwrap();
    let leaf = authority.issue(&["weft-control-plane.weft.svc".to_owned()], validity).unwrap();
    (authority.certificate_pem(), leaf.certificate_pem)
}

fn secret(certificate: &str) -> Secret {
    let data = [("tls.crt".to_owned(), ByteString(certificate.as_bytes().to_vec()))];
    Secret { data: Some(data.into()), ..Secret::default() }
}

/// A pod of namespace shop with a sidecar that is ready.
fn meshed(name: &str) -> Pod {
    object(&format!(
        "metadata: {{name: {name}, namespace: shop, annotations: {{weft.dev/injected: 'true'}}}}
spec: {{containers: [], initContainers: [{{name: weft-proxy, image: 'weft/proxy:0.1.0'}}]}}
status:
  conditions: [{{type: Ready, status: 'True'}}]
  initContainerStatuses:
    - {{name: weft-redirect, ready: true, image: i, imageID: i, restartCount: 0, state: {{terminated: {{exitCode: 0}}}}}}
    - {{name: weft-proxy, ready: true, image: i, imageID: i, restartCount: 0, state: {{running: {{}}}}}}"
    ))
}

fn control_plane() -> Pod {
    object(
        "metadata: {name: weft-control-plane-a, namespace: weft, labels: {app.kubernetes.io/name: weft-control-plane}}
spec: {containers: [], nodeName: one}
status: {conditions: [{type: Ready, status: 'True'}]}",
    )
}

/// The control plane's Deployment of one replica, in its third generation.
fn deployment(status: &str) -> Known<Option<Deployment>> {
    let spec = "{replicas: 1, selector: {}, template: {}}";
    Ok(Some(object(&format!("{{metadata: {{generation: 3}}, spec: {spec}, status: {{{status}}}}}"))))
}

/// What a replica of the control plane says, to which 3 proxies have streams.
fn replica(version: &str, behind: u32) -> Figures {
    let text = format!(
        "weft_build_info{{version=\"{version}\"}} 1
weft_control_streams 3
weft_control_streams_behind {behind}
weft_control_lag_seconds 7.2
"
    );
    figures("weft/weft-control-plane-a", &text)
}

fn figures(pod: &str, text: &str) -> Figures {
    Figures { pod: pod.to_owned(), text: Ok(text.to_owned()) }
}

fn namespaces() -> Vec<Namespace> {
    let shop = "metadata: {name: shop, labels: {weft.dev/inject: enabled}}";
    let weft = "metadata: {name: weft, labels: {pod-security.kubernetes.io/enforce: restricted}}";
    vec![object(shop), object(weft), object("metadata: {name: kube-system}")]
}

fn webhook(name: &str, authority: &str) -> String {
    let bundle = serde_json::to_string(&ByteString(authority.as_bytes().to_vec())).unwrap();
    format!(
        "{{name: {name}, failurePolicy: Fail, clientConfig: {{caBundle: {bundle}}}, sideEffects: None, admissionReviewVersions: [v1]}}"
    )
}

/// A cluster in which all is well.
fn well() -> Facts {
    let (root, leaf) = certificates(now() - DAY, 365 * DAY);
    let webhooks = ["namespace", "pod"].map(|kind| webhook(&format!("{kind}.injector.weft.dev"), &root)).join(", ");
    let bundle = ConfigMap {
        metadata: object("{name: weft-trust-bundle, namespace: shop}"),
        data: Some([("ca.pem".to_owned(), root.clone())].into()),
        ..ConfigMap::default()
    };
    let proxy = "weft_discovery_age_seconds 0\nweft_certificate_expiry_timestamp_seconds 1.8e9\n";
    Facts {
        now: now(),
        namespace: None,
        server: Ok(Server { version: (1, 34), name: "v1.34.4".to_owned(), clock: now(), ours: now() }),
        rights: vec![Right { name: "create namespaces".to_owned(), allowed: Ok(true) }],
        account: vec![Right { name: "create tokenreviews".to_owned(), allowed: Ok(true) }],
        nodes: Ok(vec![node("linux", "6.1.0-18-amd64")]),
        namespaces: Ok(namespaces()),
        kinds: Ok(vec![object("name: inboundpolicies.weft.dev"), http_route("experimental")]),
        deployment: deployment("observedGeneration: 3, replicas: 1, updatedReplicas: 1, readyReplicas: 1"),
        replicas: Ok(vec![control_plane()]),
        control_plane: vec![replica(env!("CARGO_PKG_VERSION"), 0)],
        injector: Ok(Some(object(&format!("{{metadata: {{}}, webhooks: [{webhooks}]}}")))),
        trial: Ok(meshed("trial")),
        serving: Ok(Some(secret(&leaf))),
        anchor: Ok(Some(secret(&root))),
        issuer: Ok(Some(secret(&root))),
        bundles: Ok(vec![bundle]),
        pods: Ok(vec![meshed("users")]),
        proxies: vec![figures("shop/users", proxy)],
    }
}

fn node(system: &str, kernel: &str) -> k8s_openapi::api::core::v1::Node {
    object(&format!(
        "{{metadata: {{name: one}}, status: {{nodeInfo: {{operatingSystem: {system}, kernelVersion: {kernel}, architecture: a, bootID: b, containerRuntimeVersion: c, kubeProxyVersion: d, kubeletVersion: e, machineID: f, osImage: g, systemUUID: h}}}}}}"
    ))
}

fn http_route(channel: &str) -> kube::core::ObjectMeta {
    object(&format!(
        "{{name: httproutes.gateway.networking.k8s.io, labels: {{app.kubernetes.io/part-of: weft}}, annotations: {{gateway.networking.k8s.io/bundle-version: v1.6.3, gateway.networking.k8s.io/channel: {channel}}}}}"
    ))
}

/// What is not well; all else is as in a cluster in which all is well.
fn complaints(facts: &Facts) -> Vec<Finding> {
    let all = after(facts);
    all.into_iter().filter(|finding| finding.verdict != Verdict::Passed).collect()
}

/// The one complaint, as verdict and text: detail and what is next.
fn complaint(facts: &Facts) -> (Verdict, String) {
    let complaints = complaints(facts);
    assert_eq!(complaints.len(), 1, "{}", report::table(&complaints, false));
    (complaints[0].verdict, format!("{} | {}", complaints[0].detail, complaints[0].next.clone().unwrap_or_default()))
}

#[track_caller]
fn fails(facts: &Facts, parts: &[&str]) {
    says(facts, Verdict::Failed, parts);
}

#[track_caller]
fn warns(facts: &Facts, parts: &[&str]) {
    says(facts, Verdict::Warning, parts);
}

#[track_caller]
fn says(facts: &Facts, verdict: Verdict, parts: &[&str]) {
    let (found, text) = complaint(facts);
    assert_eq!(found, verdict, "{text}");
    parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in: {text}"));
}

/// As the API server refuses.
fn refused(code: u16, message: &str) -> Unknown {
    let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
    Unknown::Refused(kube::Error::Api(Box::new(status)))
}

#[test]
fn a_healthy_cluster_has_no_complaint() {
    let facts = well();
    assert!(complaints(&facts).is_empty(), "{}", report::table(&complaints(&facts), false));
}

#[test]
fn nothing_else_is_judged_while_the_api_server_is_silent() {
    let silent = || Facts { server: Err(Unknown::Deadline(Duration::from_secs(10))), ..well() };
    fails(&silent(), &["no answer within 10 s", "kubectl cluster-info"]);
    assert_eq!((after(&silent()).len(), before(&silent()).len()), (1, 1));
}

#[test]
fn what_the_user_may_not_ask_is_told_and_not_failed() {
    let facts = Facts { serving: Err(refused(403, "secrets is forbidden")), ..well() };
    let complaints = complaints(&facts);
    assert_eq!(complaints.len(), 2, "{complaints:?}"); // its CA, and how long it holds
    assert!(complaints.iter().all(|one| one.verdict == Verdict::Unknown), "{complaints:?}");
    assert!(report::ok(&complaints), "{complaints:?}");
    assert!(complaints[0].detail.contains("cannot be told: secrets is forbidden"), "{complaints:?}");
}

#[test]
fn an_api_server_that_cannot_say_fails() {
    for outage in [Unknown::Deadline(Duration::from_secs(10)), refused(503, "etcd is away")] {
        let facts = Facts { kinds: Err(outage), ..well() };
        let complaints = complaints(&facts);
        assert!(complaints.len() == 2 && complaints.iter().all(|one| one.verdict == Verdict::Failed), "{complaints:?}");
    }
}
