//! Known, foreign, unanswered: where a connection goes, with the control plane present, slow and gone.

use std::{net::SocketAddr, time::Duration};

use tokio::time::Instant;
use weft_sandbox::Pod;

use crate::harness::{Mesh, eventually, header, mesh_set_up, seen};

/// A pod without a sidecar, and a Service that nobody has called.
const MORE: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: server, namespace: elsewhere }
spec:
  containers:
  - name: app
    image: none
    command: ["weft-test-app", "serve"]
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: never-called, namespace: test }
spec:
  selector: { app: app }
  ports:
  - { name: http, port: 8080 }
"#;

/// All but the pods' IPv6 addresses belongs to the cluster: those are foreign, and there for everybody to reach.
const RANGES: (&str, &str) = ("WEFT_CLUSTER_RANGES", "10.244.0.0/16,10.96.0.0/16,fd00:96::/112");

/// SIGSTOP: it is there and does not answer.
const SLOW: i32 = 19;
/// SIGKILL: it is gone.
const GONE: i32 = 9;
const SIGCONT: i32 = 18;

/// What a connection waits for the control plane at most, by default.
const WAIT: Duration = Duration::from_secs(3);

async fn mesh(settings: &[(&str, &str)]) -> Mesh {
    mesh_set_up(1, MORE, (&[RANGES], settings)).await
}

/// An address outside of the cluster.
async fn foreign(mesh: &Mesh, port: u16) -> String {
    SocketAddr::new(mesh.pod("server").await.addresses[1], port).to_string()
}

/// An address of the cluster at which somebody serves that the control plane does not know.
async fn unknown(mesh: &Mesh) -> String {
    let server = mesh.pod("server").await;
    std::fs::remove_file(mesh.manifest_of(&server)).unwrap();
    let forgotten = || async { !mesh.snapshot().await.contains("elsewhere") };
    eventually(Duration::from_secs(10), "the control plane has forgotten the pod", forgotten).await;
    let address = SocketAddr::new(server.address, 8080).to_string();
    assert_eq!(mesh.get("outside", &address, &[]).await["status"], 200, "nobody serves at {address}");
    address
}

/// The client is answered by an app.
async fn assert_reached(mesh: &Mesh, target: &str, meshed: bool) {
    let answer = mesh.get("client", target, &[]).await;
    assert_eq!(answer["status"], 200, "{target}: {answer}");
    let identity = seen(&answer)["headers"].clone();
    assert_eq!(header(&identity, "weft-client-identity").len(), usize::from(meshed), "{target}: {answer}");
}

/// The client is told by its proxy that nobody says where this leads, after the time that it waits and not much later.
async fn assert_unanswered(mesh: &Mesh, target: &str) {
    let began = Instant::now();
    let answer = mesh.get("client", target, &[]).await;
    assert_eq!(answer["status"], 503, "{target}: {answer}");
    assert_eq!(header(&answer["headers"], "weft-proxy-error"), ["discovery-timeout"], "{target}: {answer}");
    assert!((WAIT..WAIT * 2).contains(&began.elapsed()), "{target}: after {:?}", began.elapsed());
}

async fn connections(mesh: &Mesh, client: &Pod) -> f64 {
    let foreign = ["direction=\"outbound\"", "namespace=\"\"", "service=\"\"", "mtls=\"false\""];
    mesh.metric(client, "weft_tcp_connections_total", &foreign).await
}

#[tokio::test]
async fn what_is_foreign_passes_through_and_is_counted() {
    let mesh = mesh(&[]).await;
    let client = mesh.pod("client").await;
    let before = connections(&mesh, &client).await;
    assert_reached(&mesh, &foreign(&mesh, 8080).await, false).await;
    let echoed = mesh.run("client", &["bytes", &foreign(&mesh, 9000).await, "\u{1}bytes"]).await;
    assert_eq!(echoed["last"], "\u{1}bytes");
    assert_eq!(connections(&mesh, &client).await - before, 2.0);
}

#[tokio::test]
async fn what_is_foreign_is_refused_where_that_is_forbidden() {
    let mesh = mesh(&[("WEFT_FOREIGN_ALLOWED", "false")]).await;
    for more in [&["/"][..], &["/", "--http2"]] {
        let answer = mesh.get("client", &foreign(&mesh, 8080).await, more).await;
        assert_eq!(answer["status"], 403, "{answer}");
        assert_eq!(header(&answer["headers"], "weft-proxy-error"), ["foreign-forbidden"], "{answer}");
    }
    let bytes = mesh.try_run("client", &["bytes", &foreign(&mesh, 9000).await, "\u{1}bytes"]).await;
    assert_ne!(bytes.code, 0, "bytes came through: {}", bytes.stdout);
    assert_reached(&mesh, "app:8080", true).await;
    let forbidden = ["direction=\"outbound\"", "reason=\"foreign-forbidden\""];
    assert_eq!(mesh.metric(&mesh.pod("client").await, "weft_proxy_errors_total", &forbidden).await, 3.0);
}

#[tokio::test]
async fn an_address_of_the_cluster_that_nobody_knows_is_refused_in_time() {
    let mesh = mesh(&[]).await;
    let unknown = unknown(&mesh).await;
    assert_unanswered(&mesh, &unknown).await;
    let bytes = mesh.try_run("client", &["bytes", &unknown.replace("8080", "9000"), "\u{1}bytes"]).await;
    assert_ne!(bytes.code, 0, "bytes came through: {}", bytes.stdout);
}

#[tokio::test]
async fn with_the_control_plane_slow_or_gone_only_what_was_never_seen_is_refused() {
    for signal in [SLOW, GONE] {
        let mesh = mesh(&[]).await;
        let unknown = unknown(&mesh).await;
        assert_reached(&mesh, "app:8080", true).await;
        mesh.sandbox.stop_control_plane(signal).await.unwrap();
        assert_reached(&mesh, "app:8080", true).await;
        assert_reached(&mesh, &foreign(&mesh, 8080).await, false).await;
        assert_unanswered(&mesh, "never-called:8080").await;
        assert_unanswered(&mesh, &unknown).await;
        assert_reached(&mesh, "app:8080", true).await;
    }
}

#[tokio::test]
async fn a_slow_control_plane_is_waited_for() {
    let mesh = mesh(&[("WEFT_DISCOVERY_WAIT", "20s")]).await;
    let plane = mesh.pod("weft-control-plane").await;
    mesh.sandbox.kill(&plane, &plane.containers[0].name, SLOW).await.unwrap();
    let began = Instant::now();
    let waits = mesh.start("client", &["get", "never-called:8080"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    mesh.sandbox.kill(&plane, &plane.containers[0].name, SIGCONT).await.unwrap();
    let output = waits.output().await.unwrap();
    assert_eq!(crate::harness::json(&output)["status"], 200, "{}{}", output.stdout, output.stderr);
    assert!(began.elapsed() >= Duration::from_secs(1), "it was known already");
}

#[tokio::test]
async fn a_proxy_that_has_heard_nothing_yet_takes_nothing_for_foreign() {
    let mesh = mesh(&[]).await;
    mesh.sandbox.stop_control_plane(GONE).await.unwrap();
    let client = mesh.pod("client").await;
    mesh.sandbox.kill(&client, "weft-proxy", GONE).await.unwrap();
    let (foreign, client) = (foreign(&mesh, 8080).await, "client");
    let answered = async |status: u64| {
        let output = mesh.try_run(client, &["get", &foreign]).await;
        assert!(status == 200 || !output.stdout.contains("\"status\":200"), "passed through: {}", output.stdout);
        output.stdout.contains(&format!("\"status\":{status}"))
    };
    eventually(Duration::from_secs(20), "the new proxy answers", || answered(503)).await;
    assert_unanswered(&mesh, &foreign).await;
    assert_unanswered(&mesh, "app:8080").await;
    mesh.sandbox.start_control_plane().await.unwrap();
    eventually(Duration::from_secs(30), "the list has come", || answered(200)).await;
    assert_reached(&mesh, "app:8080", true).await;
}
