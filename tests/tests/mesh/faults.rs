//! What the mesh does when something ends, and that no request pays for it.

use std::time::Duration;

use crate::harness::{assert_nothing_lost, json, mesh, mesh_with, retried};

const LOAD: &[&str] = &["load", "app:8080", "--seconds", "6"];

#[tokio::test]
async fn without_a_control_plane_traffic_goes_on() {
    let mesh = mesh(3, "").await;
    mesh.get("client", "app:8080", &["/"]).await;
    let plane = mesh.sandbox.list().await.unwrap().control_plane.unwrap();
    mesh.sandbox.kill(&plane, &plane.containers[0].name, libc_sigstop()).await.unwrap();
    let report = mesh.run("client", LOAD).await;
    assert_nothing_lost(&mesh, &report, false);
}

/// SIGSTOP: it is gone for everybody, and does not come back by itself.
fn libc_sigstop() -> i32 {
    19
}

#[tokio::test]
async fn a_replica_that_is_deleted_costs_no_request() {
    for protocol in ["http1", "http2", "grpc"] {
        let mesh = mesh(3, "").await;
        let words: Vec<&str> = LOAD.iter().copied().chain(["--protocol", protocol]).collect();
        let load = mesh.start("client", &words).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let replica = mesh.replicas().await.remove(0);
        mesh.sandbox.delete(&replica).await.unwrap();
        let report = json(&load.output().await.unwrap());
        assert_nothing_lost(&mesh, &report, false);
    }
}

#[tokio::test]
async fn a_replica_that_is_killed_costs_no_request_that_was_safe_to_retry() {
    let route = retried("app", "codes: [502, 503, 504], attempts: 2, backoff: 10ms");
    let mesh = mesh(3, &route).await;
    let load = mesh.start("client", LOAD).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let replica = mesh.replicas().await.remove(0);
    for container in &replica.containers {
        mesh.sandbox.kill(&replica, &container.name, 9).await.unwrap();
    }
    let report = json(&load.output().await.unwrap());
    assert_eq!(report["failed_gets"], 0, "{}", report["failures"]);
    assert_nothing_lost(&mesh, &report, true);
}

#[tokio::test]
async fn certificates_change_under_load_without_a_failure() {
    // Leaves so short that every proxy renews, and every link between them is replaced, under the load.
    let mesh = mesh_with(2, "", &[("WEFT_LEAF_LIFETIME", "8s")]).await;
    let load = mesh.start("client", &["load", "app:8080", "--seconds", "14"]).await;
    let held = mesh.start("client", &["hold", "app:9000", "--seconds", "14"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = issuer(&mesh).await;
    let plane = mesh.sandbox.list().await.unwrap().control_plane.unwrap();
    let rotate = ["get", "127.0.0.1:4181", "/rotate-issuer", "--method", "POST"];
    let rotated = mesh.run(&format!("{}/{}", plane.namespace, plane.name), &rotate).await;
    assert_eq!(rotated["status"], 200, "{rotated}");
    let report = json(&load.output().await.unwrap());
    assert_nothing_lost(&mesh, &report, false);
    assert_eq!(held.output().await.unwrap().code, 0, "an open connection did not survive");
    let changed = || async { issuer(&mesh).await != before };
    crate::harness::eventually(Duration::from_secs(20), "a leaf by the new issuer", changed).await;
}

/// Who issued the client's leaf.
async fn issuer(mesh: &crate::harness::Mesh) -> String {
    let config = mesh.get("client", "127.0.0.1:4191", &["/config"]).await;
    let config: serde_json::Value = serde_json::from_str(config["body"].as_str().unwrap()).unwrap();
    config["identity"]["certificate"]["issuer"].to_string()
}

#[tokio::test]
async fn a_killed_proxy_comes_back_with_its_identity() {
    let mesh = mesh(1, "").await;
    mesh.get("client", "app:8080", &["/"]).await;
    let replica = mesh.replicas().await.remove(0);
    let proxy = replica.containers.iter().find(|container| container.name.contains("weft")).unwrap();
    mesh.sandbox.kill(&replica, &proxy.name, 9).await.unwrap();
    let works = || async { mesh.try_run("client", &["get", "app:8080"]).await.stdout.contains("\"status\":200") };
    crate::harness::eventually(Duration::from_secs(30), "the pod is reached again", works).await;
}
