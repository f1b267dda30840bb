//! The control plane goes, comes back, and is upgraded; traffic does not notice.

use std::time::Duration;

use crate::harness::{Load, Namespace, Turn, alone, app, client, eventually, header};

/// Both apps, one that nobody has called yet, and a client, all ready.
async fn shop(name: &str) -> (Namespace, Turn) {
    let (cluster, turn) = alone().await;
    let shop = Namespace::meshed(cluster, name).await;
    shop.apply(&(app("orders", 1) + &app("users", 2) + &app("fresh", 1) + &client("client"))).await;
    for deployment in ["orders", "users", "fresh"] {
        shop.rolled_out(deployment).await;
    }
    shop.pod_ready("client").await;
    (shop, turn)
}

#[tokio::test]
async fn without_a_control_plane_known_services_go_on_and_unknown_ones_are_refused() {
    let (shop, _turn) = shop("away").await;
    let (http, grpc) = Load::both(&shop).await;
    shop.cluster.stop_control_plane().await;
    let refused = shop.get("client", "fresh:8080", &["/", "--header", "x-id=first-use"]).await;
    assert_eq!(refused["status"], 503, "a Service that was never used before: {refused}");
    assert_eq!(header(&refused["headers"], "weft-proxy-error"), ["discovery-timeout"], "{refused}");
    tokio::time::sleep(Duration::from_secs(120)).await;
    shop.cluster.start_control_plane().await;
    let answered = async || shop.get("client", "fresh:8080", &["/"]).await["status"] == 200;
    eventually(Duration::from_secs(30), "the new Service is reached", answered).await;
    http.assert_unharmed().await;
    let deliveries = grpc.assert_unharmed().await;
    assert!(deliveries.0.iter().all(|one| one.id != "first-use"), "it was reached, though the proxy refused it");
    let mtls = ["service=\"fresh\"", "mtls=\"true\"", "status_class=\"2xx\""];
    assert!(shop.metric("client", "weft_http_requests_total", &mtls).await >= 1.0, "not by mTLS");
}

#[tokio::test]
async fn an_upgrade_of_the_control_plane_costs_no_request() {
    let (shop, _turn) = shop("upgrade").await;
    let (http, grpc) = Load::both(&shop).await;
    shop.cluster.mesh(&["rollout", "restart", "deployment/weft-control-plane"]).await;
    shop.cluster.control_plane_ready().await;
    // Proxies have found the new one only when something new reaches them.
    shop.apply(&app("later", 1)).await;
    shop.rolled_out("later").await;
    let answered = async || shop.get("client", "later:8080", &["/"]).await["status"] == 200;
    eventually(Duration::from_secs(30), "a Service of after the upgrade is reached", answered).await;
    http.assert_unharmed().await;
    grpc.assert_unharmed().await;
}

/// A pod that was admitted, and injected, but waits for its gate to be lifted.
const GATED: &str = r#"---
apiVersion: v1
kind: Pod
metadata: { name: gated, labels: { app: gated } }
spec:
  schedulingGates: [{ name: weft.dev/test }]
  containers:
  - { name: app, image: IMAGE, args: ["serve"], readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 } }
"#;

#[tokio::test]
async fn a_pod_that_starts_while_the_control_plane_is_away_is_ready_once_it_is_back() {
    let (cluster, _turn) = alone().await;
    let shop = Namespace::meshed(cluster, "gated").await;
    shop.apply(GATED).await;
    cluster.stop_control_plane().await;
    let lift = r#"[{"op": "remove", "path": "/spec/schedulingGates"}]"#;
    shop.kubectl(&["patch", "pod", "gated", "--type", "json", "--patch", lift]).await;
    let waits = async || {
        let proxy = ".status.initContainerStatuses[?(@.name==\"weft-proxy\")].state.running.startedAt";
        !shop.field("pod/gated", proxy).await.is_empty()
    };
    eventually(Duration::from_secs(60), "the proxy runs", waits).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ready = ".status.conditions[?(@.type==\"Ready\")].status";
    assert_eq!(shop.field("pod/gated", ready).await, "False", "ready without a certificate");
    cluster.start_control_plane().await;
    shop.pod_ready("gated").await;
}
