//! Reviews and their answers, as the API server would send and read them.

use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};
use tower::ServiceExt as _;

use super::*;
use crate::fixture::api_server::ApiServer;

const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {weft.dev/log-level: debug}, labels: {pod-security.kubernetes.io/enforce: baseline}}
";

fn webhook(server: &ApiServer) -> Webhook {
    Webhook::new(server.client(), InjectSettings::default(), Arc::new(Metrics::new().unwrap()))
}

fn review(pod: Value) -> Value {
    let kind = json!({ "group": "", "version": "v1", "kind": "Pod" });
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "kind": kind, "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop", "operation": "CREATE", "userInfo": {}, "object": pod,
        },
    })
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "users-", "xNew": 1 },
        "spec": { "containers": [{ "name": "app" }] },
    })
}

async fn post(webhook: &Webhook, body: Vec<u8>) -> (StatusCode, String) {
    let request = Request::post("/inject").header("content-type", "application/json").body(Body::from(body)).unwrap();
    let answer = webhook.clone().router().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn answered(webhook: &Webhook, review: Value) -> Value {
    let (status, body) = post(webhook, review.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&answer["kind"], &answer["response"]["uid"]), (&json!("AdmissionReview"), &json!("u-1")));
    answer["response"].clone()
}

/// The patch as the API server reads it.
fn patched(response: &Value, mut pod: Value) -> Value {
    let bytes: Vec<u8> = serde_json::from_value(response["patch"].clone()).unwrap_or_else(|_| {
        let text = response["patch"].as_str().unwrap();
        let encoded: k8s_openapi::ByteString = serde_json::from_value(json!(text)).unwrap();
        encoded.0
    });
    let patch: json_patch::Patch = serde_json::from_slice(&bytes).unwrap();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

#[tokio::test]
async fn a_pod_gets_a_patch_with_its_namespaces_defaults_and_a_warning() {
    let webhook = webhook(&ApiServer::with(CLUSTER));
    let response = answered(&webhook, review(pod())).await;
    assert_eq!((&response["allowed"], &response["patchType"]), (&json!(true), &json!("JSONPatch")));
    let pod = patched(&response, pod());
    assert!(pod["spec"]["initContainers"][1]["env"].to_string().contains("WEFT_LOG"));
    assert_eq!(pod["metadata"]["xNew"], 1, "a field that no type knows");
    assert!(
        response["warnings"][0].as_str().unwrap().starts_with("weft: namespace shop enforces Pod Security baseline")
    );
    assert!(webhook.metrics.text().unwrap().contains("weft_injector_admissions_total{outcome=\"injected\"} 1"));
}

#[tokio::test]
async fn a_pod_that_must_not_start_is_refused_with_what_to_change() {
    let mut pod = pod();
    pod["spec"]["containers"][0]["securityContext"] = json!({ "runAsUser": 2102 });
    let webhook = webhook(&ApiServer::with(CLUSTER));
    let response = answered(&webhook, review(pod)).await;
    assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(403)));
    assert!(response["status"]["message"].as_str().unwrap().contains("container app would run as uid 2102"));
    assert!(webhook.metrics.text().unwrap().contains("outcome=\"refused\"} 1"));
}

#[tokio::test]
async fn a_pod_on_the_hosts_network_is_let_pass_with_a_warning() {
    let mut pod = pod();
    pod["spec"]["hostNetwork"] = json!(true);
    let response = answered(&webhook(&ApiServer::with(CLUSTER)), review(pod)).await;
    assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    assert!(response["warnings"][0].as_str().unwrap().contains("hostNetwork"));
}

#[tokio::test]
async fn what_is_no_pod_being_made_is_let_pass() {
    let webhook = webhook(&ApiServer::with(CLUSTER));
    let mut update = review(pod());
    update["request"]["operation"] = json!("UPDATE");
    let mut other = review(pod());
    other["request"]["kind"]["kind"] = json!("Secret");
    for review in [update, other] {
        let response = answered(&webhook, review).await;
        assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    }
}

#[tokio::test]
async fn a_namespace_that_cannot_be_looked_up_is_no_leave_to_start_without_its_defaults() {
    let server = ApiServer::with(CLUSTER);
    server.fail(10);
    let (status, body) = post(&webhook(&server), review(pod()).to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("namespace shop cannot be looked up") && body.contains("try again"), "{body}");
}

#[tokio::test]
async fn bodies_that_are_no_review_or_too_large_are_refused() {
    let webhook = webhook(&ApiServer::with(CLUSTER));
    for body in [b"".to_vec(), b"hello".to_vec(), b"{}".to_vec(), vec![b' '; MOST_BYTES + 1]] {
        assert_eq!(post(&webhook, body).await.0, StatusCode::BAD_REQUEST);
    }
}

/// What the webhook is given to serve with.
fn certificate() -> Option<Serving> {
    let validity = weft_certs::Validity::lasting(std::time::SystemTime::now(), Duration::from_secs(3600));
    let authority = weft_certs::ServingAuthority::generate(validity).unwrap();
    let leaf = authority.issue(&["weft-control-plane.weft.svc".to_owned()], validity).unwrap();
    Some(Serving::from_pem(&leaf.certificate_pem, &leaf.key_pem).unwrap())
}

/// A connection from an address of this machine's loopback.
async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// One review over a connection of its own; the whole answer.
async fn over_tls(address: SocketAddr) -> String {
    let io = connect([127, 0, 0, 1], address).await;
    let connector = tokio_rustls::TlsConnector::from(weft_certs::unverified_client().clone());
    let mut io = connector.connect("weft-control-plane.weft.svc".try_into().unwrap(), io).await.unwrap();
    let body = review(pod()).to_string();
    let head =
        format!("POST /inject HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    io.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_serves_by_tls_and_a_little_longer_than_the_replica_lives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::default());
    let (given, serves) = watch::channel(None);
    let serving = webhook(&ApiServer::with(CLUSTER)).serve(listener, serves, shutdown.clone());
    shutdown.spawn_connection(serving);
    given.send_replace(certificate());
    assert!(over_tls(address).await.starts_with("HTTP/1.1 200"));
    shutdown.drain();
    assert!(over_tls(address).await.starts_with("HTTP/1.1 200"), "the API server may not know yet");
    shutdown.finished(Duration::from_secs(10)).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_that_holds_its_share_of_connections_leaves_room_for_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::default());
    let (_given, serves) = watch::channel(certificate());
    shutdown.spawn_connection(webhook(&ApiServer::with(CLUSTER)).serve(listener, serves, shutdown.clone()));
    let mut silent = Vec::new();
    for _ in 0..OF_ONE_ADDRESS {
        silent.push(connect([127, 0, 0, 2], address).await);
    }
    assert_eq!(connect([127, 0, 0, 2], address).await.read(&mut [0]).await.unwrap_or(0), 0, "one too many is closed");
    assert!(over_tls(address).await.starts_with("HTTP/1.1 200"));
}
