//! More than one node: traffic between them, and one that is emptied under load. These need a cluster of their own.

use std::time::Duration;

use crate::harness::{Load, Namespace, app, client, eventually, header, seen, two_workers};

/// Spread over the workers, with the client on the first of them.
async fn shop(name: &str) -> (Namespace, (String, String), crate::harness::Turn) {
    let (cluster, turn) = two_workers().await;
    let mut workers: Vec<_> =
        cluster.nodes().await.into_iter().filter(|node| !node.ends_with("control-plane")).collect();
    assert_eq!(workers.len(), 2, "{workers:?}");
    let (second, first) = (workers.remove(1), workers.remove(0));
    for worker in [&first, &second] {
        cluster.kubectl(&["uncordon", worker]).await;
    }
    let shop = Namespace::meshed(cluster, name).await;
    let pinned = |text: String, app: &str| {
        let spread = format!(
            "      topologySpreadConstraints:\n      - maxSkew: 1\n        topologyKey: kubernetes.io/hostname\n        \
             whenUnsatisfiable: ScheduleAnyway\n        labelSelector: {{ matchLabels: {{ app: {app} }} }}\n      containers:"
        );
        text.replace("      containers:", &spread)
    };
    let client = client("client").replace("spec:\n", &format!("spec:\n  nodeName: {first}\n"));
    shop.apply(&(pinned(app("orders", 4), "orders") + &pinned(app("users", 4), "users") + &client)).await;
    shop.rolled_out("orders").await;
    shop.rolled_out("users").await;
    shop.pod_ready("client").await;
    (shop, (first, second), turn)
}

/// The pods of an app on a node.
async fn on(shop: &Namespace, node: &str, app: &str) -> Vec<String> {
    let field = format!("spec.nodeName={node}");
    let output = "jsonpath={.items[*].metadata.name}";
    let label = format!("app={app}");
    let names = ["get", "pods", "--selector", &label, "--field-selector", &field, "--output", output];
    shop.kubectl(&names).await.split_whitespace().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn pods_on_other_nodes_are_reached_by_mtls() {
    let (shop, (_, second), _turn) = shop("nodes").await;
    let far = on(&shop, &second, "orders").await;
    assert!(!far.is_empty(), "nothing to reach on {second}");
    let mut reached = 0;
    for _ in 0..40 {
        let answer = shop.get("client", "orders:8080", &["/", "--fail"]).await;
        let seen = seen(&answer);
        assert_eq!(header(&seen["headers"], "weft-client-identity").len(), 1, "not meshed: {answer}");
        reached += usize::from(far.iter().any(|pod| seen["pod"] == pod.as_str()));
    }
    assert!(reached > 0, "40 requests, and none went to the other node");
}

#[tokio::test]
async fn a_node_that_is_drained_costs_no_request() {
    let (shop, (_, second), _turn) = shop("drained").await;
    assert!(!on(&shop, &second, "orders").await.is_empty() && !on(&shop, &second, "users").await.is_empty());
    let (http, grpc) = Load::both(&shop).await;
    shop.cluster.kubectl(&["drain", &second, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s"]).await;
    for deployment in ["orders", "users"] {
        shop.rolled_out(deployment).await;
        let empty = async || on(&shop, &second, deployment).await.is_empty();
        eventually(Duration::from_secs(60), "nothing is left on the node", empty).await;
    }
    http.assert_unharmed().await;
    grpc.assert_unharmed().await;
    shop.cluster.kubectl(&["uncordon", &second]).await;
}
