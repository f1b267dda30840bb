//! Calls between pods, and how they look from outside of the mesh.

use crate::harness::{Namespace, app, client, header, seen, shared};

#[tokio::test]
async fn a_call_is_encrypted_and_both_sides_know_each_other_by_identity() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "calls").await;
    shop.apply(&(app("app", 2) + &client("client"))).await;
    let plain = Namespace::unmeshed(cluster, "plain").await;
    plain.apply(&(app("app", 1) + &client("client") + SNIFFER)).await;
    shop.rolled_out("app").await;
    plain.rolled_out("app").await;
    for pod in [(&shop, "client"), (&plain, "client"), (&plain, "sniffer")] {
        pod.0.pod_ready(pod.1).await;
    }

    let secret = plain.start("sniffer", &["capture", "needle-in-the-mesh", "--seconds", "8"]).await;
    let open = plain.start("sniffer", &["capture", "needle-in-the-open", "--seconds", "8"]).await;
    let sends = |needle| ["/hello", "--method", "PUT", "--body", needle];
    for _ in 0..20 {
        plain.get("client", "app:8080", &sends("needle-in-the-open")).await;
        let answer = shop.get("client", "app:8080", &sends("needle-in-the-mesh")).await;
        assert_eq!(answer["status"], 200, "{answer}");
        let identity = format!("spiffe://cluster.local/ns/{}/sa/client", shop.name);
        assert_eq!(header(&seen(&answer)["headers"], "weft-client-identity"), [identity]);
    }
    let (secret, open) = (secret.success().await.json(), open.success().await.json());
    assert!(open["found"].as_u64().unwrap() > 0, "the capture misses what is readable: {open}");
    assert_eq!(secret["found"], 0, "the payload was readable on the wire: {secret}");

    let server = format!("server_identity=\"spiffe://cluster.local/ns/{}/sa/app\"", shop.name);
    let outbound = ["direction=\"outbound\"", "service=\"app\"", "mtls=\"true\"", &server];
    assert_eq!(shop.metric("client", "weft_http_requests_total", &outbound).await, 20.0);
    let client = format!("client_identity=\"spiffe://cluster.local/ns/{}/sa/client\"", shop.name);
    let mut inbound = 0.0;
    for pod in shop.pods("app=app").await {
        inbound += shop.metric(&pod, "weft_http_requests_total", &["mtls=\"true\"", &client]).await;
    }
    assert_eq!(inbound, 20.0);
}

/// Looks at every frame on the node's bridge.
const SNIFFER: &str = r#"---
apiVersion: v1
kind: Pod
metadata: { name: sniffer }
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: IMAGE
    args: ["serve", "--http", "127.0.0.1:28080", "--echo", "127.0.0.1:29000", "--greet", "127.0.0.1:22525"]
    securityContext: { runAsUser: 0, capabilities: { add: [NET_RAW] } }
"#;
