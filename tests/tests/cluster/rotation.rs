//! The root is replaced under load.

use std::time::Duration;

use crate::harness::{Load, Namespace, alone, app, client, eventually};

/// The client, and two replicas of each app: their leaves' issuers.
async fn issuers(shop: &Namespace) -> Vec<String> {
    let mut issuers = Vec::new();
    for pod in shop.pods("app in (client, orders, users)").await {
        let config = shop.get(&pod, "127.0.0.1:4191", &["/config"]).await;
        let config: serde_json::Value = serde_json::from_str(config["body"].as_str().unwrap()).unwrap();
        issuers.push(config["identity"]["certificate"]["issuer"].as_str().unwrap().to_owned());
    }
    issuers
}

#[tokio::test]
async fn the_root_is_rotated_under_load_without_a_failure() {
    let (cluster, _turn) = alone().await;
    let shop = Namespace::meshed(cluster, "rotation").await;
    shop.apply(&(app("orders", 2) + &app("users", 2) + &client("client"))).await;
    shop.rolled_out("orders").await;
    shop.rolled_out("users").await;
    shop.pod_ready("client").await;
    let before = issuers(&shop).await;
    let root = cluster.mesh(&["get", "secret", "weft-trust-anchor", "--output", "jsonpath={.data.tls\\.crt}"]).await;
    let (http, grpc) = Load::both(&shop).await;
    cluster.weft(&["identity", "rotate"]).await;
    let renewed = async || issuers(&shop).await.iter().all(|issuer| !before.contains(issuer));
    eventually(Duration::from_secs(60), "every leaf is new", renewed).await;
    http.assert_unharmed().await;
    grpc.assert_unharmed().await;
    let after = cluster.mesh(&["get", "secret", "weft-trust-anchor", "--output", "jsonpath={.data.tls\\.crt}"]).await;
    assert_ne!(root, after, "the root is the old one");
    // A pod of after the rotation is believed, and believes.
    shop.kubectl(&["rollout", "restart", "deployment/orders"]).await;
    shop.rolled_out("orders").await;
    shop.get("client", "orders:8080", &["/", "--fail"]).await;
}
