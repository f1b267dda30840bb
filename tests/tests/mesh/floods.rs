//! Who floods a port before anybody trusts him takes what is his, and nobody else notices.

use std::time::Duration;

use weft_sandbox::{Pod, Running};

use crate::harness::{Mesh, assert_nothing_lost, eventually, mesh_of_proxies, mesh_with};

/// From the pod outside of the mesh, silent connections: so many at a time, another for each that ends.
async fn flood(mesh: &Mesh, target: &str, connections: &str) -> Running {
    mesh.start("outside", &["flood", target, "--connections", connections, "--seconds", "40"]).await
}

#[tokio::test]
async fn a_flood_of_handshakes_leaves_other_peers_theirs() {
    // A link ends as soon as nothing is on it, so that requests keep asking for handshakes.
    let mesh = mesh_of_proxies(1, &[("WEFT_MESH_IDLE", "100ms")]).await;
    let replica = mesh.replicas().await.remove(0);
    let mut flood = flood(&mesh, &format!("{}:4143", replica.address), "200").await;
    eventually(Duration::from_secs(20), "the flood is refused", || is_refused(&mesh, &replica)).await;
    let load = ["load", "app:8080", "--seconds", "6", "--clients", "20", "--pause-ms", "250"];
    let report = mesh.run("client", &load).await;
    assert_nothing_lost(&mesh, &report, false);
    // Waiting for a place that a silent peer gives back after two seconds leaves 60 of 480.
    assert!(report["requests"].as_u64().unwrap() > 200, "{report}");
    flood.signal(9).await.unwrap();
}

#[tokio::test]
async fn a_flood_from_outside_of_the_mesh_leaves_peers_their_connections() {
    let limits =
        [("WEFT_CONNECTION_LIMIT", "100"), ("WEFT_CLIENT_CONNECTION_LIMIT", "50"), ("WEFT_MESH_IDLE", "100ms")];
    let mesh = mesh_of_proxies(1, &limits).await;
    let replica = mesh.replicas().await.remove(0);
    let mut flood = flood(&mesh, &format!("{}:8080", replica.address), "200").await;
    eventually(Duration::from_secs(20), "the flood is refused", || is_refused(&mesh, &replica)).await;
    let load = ["load", "app:8080", "--seconds", "6", "--clients", "20", "--pause-ms", "250"];
    let report = mesh.run("client", &load).await;
    assert_nothing_lost(&mesh, &report, false);
    flood.signal(9).await.unwrap();
}

async fn is_refused(mesh: &Mesh, replica: &Pod) -> bool {
    mesh.metric(replica, "weft_proxy_errors_total", &["inbound", "overloaded"]).await > 100.0
}

#[tokio::test]
async fn a_flood_of_the_control_plane_keeps_no_proxy_from_joining() {
    let mesh = mesh_with(1, "", &[("WEFT_MAX_CONNECTIONS", "230"), ("WEFT_MAX_HANDSHAKES", "64")]).await;
    let plane = mesh.sandbox.list().await.unwrap().control_plane.unwrap();
    let mut flood = flood(&mesh, &format!("{}:8443", plane.address), "300").await;
    let refused = || async { refused_by_control_plane(&mesh).await > 100.0 };
    eventually(Duration::from_secs(20), "the flood is refused", refused).await;
    mesh.sandbox.scale("app", 3).await.unwrap();
    let joined = || async {
        let replicas = mesh.replicas().await;
        replicas.len() == 3 && replicas.iter().all(|replica| replica.ready)
    };
    eventually(Duration::from_secs(30), "new proxies are certified and ready", joined).await;
    flood.signal(9).await.unwrap();
}

async fn refused_by_control_plane(mesh: &Mesh) -> f64 {
    let metrics = mesh.get("weft/weft-control-plane", "127.0.0.1:4181", &["/metrics"]).await;
    let lines = metrics["body"].as_str().unwrap().lines().filter(|line| line.starts_with("weft_control_refused_total"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
