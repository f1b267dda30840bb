//! Peers that are gone without a word: nothing refuses, nothing resets, nobody answers. The control plane is stopped
//! first, so that it is the proxies who find out.
//!
//! What is stated: a peer that says nothing for 10 s while it owes an answer is dead (5 s until a PING, 5 s for its
//! answer). A new request waits for it no longer than a dial and a handshake may take, 1 s and 2 s.

use std::time::Duration;

use weft_sandbox::Pod;

use crate::harness::{Mesh, assert_nothing_lost, json, mesh, retried};

const SIGSTOP: i32 = 19;
/// 10 s, a dial or a handshake that finds nobody, and what a busy machine adds.
const FOUND_DEAD: u64 = 18_000;
const DIALLED_ELSEWHERE: u64 = 6_000;

#[tokio::test]
async fn a_frozen_peer_is_found_out_and_loses_its_traffic_to_the_others() {
    let mesh = without_control_plane().await;
    let frozen = mesh.replicas().await.remove(0);
    assert_found_out(&mesh, async || freeze(&mesh, &frozen).await).await;
}

#[tokio::test]
async fn a_peer_whose_packets_are_dropped_is_found_out_and_loses_its_traffic_to_the_others() {
    let mesh = without_control_plane().await;
    let unplugged = mesh.replicas().await.remove(0);
    assert_found_out(&mesh, async || {
        let output = mesh.try_run(&unplugged.name, &["unplug"]).await;
        assert_eq!(output.code, 0, "{}", output.stderr);
        let lost = mesh.try_run("outside", &["bytes", &format!("{}:9000", unplugged.address), "word"]).await;
        assert_ne!(lost.code, 0, "{}", lost.stdout);
    })
    .await;
}

async fn without_control_plane() -> Mesh {
    let mesh = mesh(3, &retried("app", "codes: [502, 503, 504], attempts: 3, backoff: 10ms")).await;
    mesh.get("client", "app:8080", &["/"]).await;
    let plane = mesh.sandbox.list().await.unwrap().control_plane.unwrap();
    freeze(&mesh, &plane).await;
    mesh
}

async fn freeze(mesh: &Mesh, pod: &Pod) {
    for container in &pod.containers {
        mesh.sandbox.kill(pod, &container.name, SIGSTOP).await.unwrap();
    }
}

/// Under load, one replica is made to vanish: who waits for it is answered by another one, and who comes later too.
async fn assert_found_out(mesh: &Mesh, vanish: impl AsyncFnOnce()) {
    let load = mesh.start("client", &["load", "app:8080", "--seconds", "6"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    vanish().await;
    let report = json(&load.output().await.unwrap());
    assert_eq!(report["failed_gets"], 0, "{}", report["failures"]);
    assert!(report["slowest_ms"].as_u64().unwrap() < FOUND_DEAD, "{report}");
    // A POST that was with the peer fails: nobody knows whether the app has read it.
    assert_nothing_lost(mesh, &report, true);
    let later = mesh.run("client", &["load", "app:8080", "--seconds", "4"]).await;
    assert_nothing_lost(mesh, &later, false);
    assert!(later["slowest_ms"].as_u64().unwrap() < DIALLED_ELSEWHERE, "{later}");
}
