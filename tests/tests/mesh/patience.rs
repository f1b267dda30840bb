//! Who waits for whom, and for how long.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Mesh, eventually, mesh, mesh_of_proxies};

#[tokio::test]
async fn an_http2_answer_may_take_longer_than_an_idle_connection() {
    let mesh = mesh_of_proxies(1, &[("WEFT_MESH_IDLE", "1s")]).await;
    let answer = mesh.get("client", "app:8080", &["/slow/4000", "--http2"]).await;
    assert_eq!(answer["status"], 200, "{answer}");
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_does_not_stay_with_the_app() {
    let mesh = mesh(1, "").await;
    for more in [&["/slow/30000"][..], &["/slow/30000", "--http2"]] {
        let words: Vec<&str> = ["get", "app:8080"].iter().chain(more).copied().collect();
        let mut running = mesh.start("client", &words).await;
        eventually(Duration::from_secs(5), "the request has arrived", || async { in_flight(&mesh).await == 1 }).await;
        running.signal(9).await.unwrap();
        eventually(Duration::from_secs(3), "the request is over", || async { in_flight(&mesh).await == 0 }).await;
    }
}

/// Requests that the app is working on, as its proxy believes.
async fn in_flight(mesh: &Mesh) -> u64 {
    let replica = mesh.replicas().await.remove(0);
    let config = mesh.get(&replica.name, "127.0.0.1:4191", &["/config"]).await;
    let config: serde_json::Value = serde_json::from_str(config["body"].as_str().unwrap()).unwrap();
    config["requests_in_flight"]["inbound"].as_u64().unwrap()
}

#[tokio::test]
async fn a_client_does_not_wait_for_ever_for_a_server_that_is_not_there() {
    let mesh = mesh_of_proxies(1, &[("WEFT_HEAD_DEADLINE", "1s")]).await;
    mesh.run("client", &["bytes", "app:2525"]).await;
    mesh.sandbox.scale("app", 0).await.unwrap();
    let refused = || async {
        let began = Instant::now();
        let output = mesh.try_run("client", &["bytes", "app:2525"]).await;
        output.code != 0 && began.elapsed() < Duration::from_secs(8)
    };
    eventually(Duration::from_secs(40), "the client is told", refused).await;
}

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_has_one_deadline() {
    let mesh = mesh_of_proxies(1, &[("WEFT_HEAD_DEADLINE", "1s")]).await;
    let trickled = mesh.run("client", &["trickle", "app:8080"]).await;
    assert!(trickled["answer"].as_str().unwrap().starts_with("HTTP/1.1 408 "), "{trickled}");
    assert!(trickled["answer"].as_str().unwrap().contains("weft-proxy-error: head-timeout"), "{trickled}");
    assert!((900..5000).contains(&trickled["milliseconds"].as_u64().unwrap()), "{trickled}");
}
