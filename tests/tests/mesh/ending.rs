//! What is in flight when a proxy is told to end is finished first.

use std::time::Duration;

use weft_sandbox::Pod;

use crate::harness::{Mesh, json, mesh};

const SIGTERM: i32 = 15;

/// Slow answers and an open connection, while `end` is done to the mesh: all of them come to their own end.
async fn assert_finished(mesh: &Mesh, what: &str, end: impl AsyncFnOnce(&Mesh)) {
    let first = mesh.start("client", &["get", "app:8080", "/slow/2500"]).await;
    let second = mesh.start("client", &["get", "app:8080", "/slow/2500", "--http2"]).await;
    let third = mesh.start("client", &["hold", "app:9000", "--seconds", "2.5"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    end(mesh).await;
    for (protocol, running) in [("HTTP/1.1", first), ("HTTP/2", second), ("bytes", third)] {
        let output = running.output().await.unwrap();
        assert_eq!(output.code, 0, "{protocol}, {what}: {}{}", output.stdout, output.stderr);
        if protocol != "bytes" {
            assert_eq!(json(&output)["status"], 200, "{protocol}, {what}: {}", output.stdout);
        }
    }
}

async fn terminate_proxy(mesh: &Mesh, pod: &Pod) {
    let proxy = pod.containers.iter().find(|container| container.name.contains("weft")).unwrap();
    mesh.sandbox.kill(pod, &proxy.name, SIGTERM).await.unwrap();
}

#[tokio::test]
async fn a_client_s_proxy_finishes_what_is_in_flight() {
    let mesh = mesh(1, "").await;
    let pod = mesh.pod("client").await;
    assert_finished(&mesh, "the client's proxy ends", async |mesh| terminate_proxy(mesh, &pod).await).await;
}

#[tokio::test]
async fn a_server_s_proxy_finishes_what_is_in_flight() {
    let mesh = mesh(1, "").await;
    let pod = mesh.replicas().await.remove(0);
    assert_finished(&mesh, "the server's proxy ends", async |mesh| terminate_proxy(mesh, &pod).await).await;
}

#[tokio::test]
async fn a_pod_that_is_deleted_finishes_what_is_in_flight() {
    let mesh = mesh(1, "").await;
    let pod = mesh.replicas().await.remove(0);
    assert_finished(&mesh, "the pod is deleted", async |mesh| mesh.sandbox.delete(&pod).await.unwrap()).await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let mesh = mesh(1, "").await;
    mesh.get("client", "app:8080", &["/"]).await;
    let pod = mesh.replicas().await.remove(0);
    let began = tokio::time::Instant::now();
    let silent = mesh.start("client", &["silent", "app:8080", "--seconds", "20"]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for pod in [mesh.pod("client").await, pod] {
        terminate_proxy(&mesh, &pod).await;
        let old = pod.containers.iter().find(|container| container.name.contains("weft")).unwrap().pid;
        let path = format!("/proc/{}", old.unwrap());
        let ended = || async { !std::path::Path::new(&path).exists() };
        crate::harness::eventually(Duration::from_secs(5), "the proxy ends", ended).await;
    }
    assert!(began.elapsed() < Duration::from_secs(12), "took {:?}", began.elapsed());
    drop(silent);
}
