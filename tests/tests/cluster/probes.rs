//! The kubelet's probes go on to mean the app, whatever stands before it.

use std::time::Duration;

use crate::harness::{Namespace, app, client, eventually, header, shared};

/// Every kind of probe, and as each of the three; mTLS is demanded of everybody.
const PROBED: &str = r#"---
apiVersion: weft.dev/v1
kind: InboundPolicy
metadata: { name: strict }
spec: { mode: mtls }
---
apiVersion: v1
kind: Pod
metadata: { name: first, labels: { app: probed } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: IMAGE
    args: ["serve"]
    ports: [{ name: web, containerPort: 8080 }]
    startupProbe: { exec: { command: ["/weft-test-app", "get", "localhost:8080", "--fail"] }, periodSeconds: 1 }
    readinessProbe: { httpGet: { path: /status/204, port: web }, periodSeconds: 1 }
    livenessProbe: { grpc: { port: 8080 }, periodSeconds: 1, failureThreshold: 5 }
---
apiVersion: v1
kind: Pod
metadata: { name: second, labels: { app: probed } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: IMAGE
    args: ["serve"]
    startupProbe: { grpc: { port: 8080 }, periodSeconds: 1 }
    readinessProbe: { tcpSocket: { port: 9000 }, periodSeconds: 1 }
    livenessProbe:
      exec: { command: ["/weft-test-app", "get", "localhost:8080", "--fail"] }
      periodSeconds: 1
      failureThreshold: 5
"#;

#[tokio::test]
async fn probes_work_where_mtls_is_demanded_and_fail_when_the_app_is_dead() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "probes").await;
    shop.apply(&(PROBED.to_owned() + &client("client"))).await;
    let outside = Namespace::unmeshed(cluster, "prober").await;
    outside.apply(&client("client")).await;
    for pod in [(&shop, "client"), (&shop, "first"), (&shop, "second"), (&outside, "client")] {
        pod.0.pod_ready(pod.1).await;
    }
    for pod in ["first", "second"] {
        let target = format!("{}:8080", shop.field(&format!("pod/{pod}"), ".status.podIP").await);
        let plain = outside.get("client", &target, &["/"]).await;
        assert_eq!(header(&plain["headers"], "weft-proxy-error"), ["mtls-required"], "{plain}");
        // It goes on running, and takes no connection any more.
        assert_eq!(shop.get("client", &target, &["/close"]).await["status"], 200);
        eventually(Duration::from_secs(20), "not ready", async || !is_ready(&shop, pod).await).await;
        let restarts = ".status.containerStatuses[?(@.name==\"app\")].restartCount";
        let restarted = async || shop.field(&format!("pod/{pod}"), restarts).await == "1";
        eventually(Duration::from_secs(40), "killed for not being alive", restarted).await;
        shop.pod_ready(pod).await;
    }
}

async fn is_ready(shop: &Namespace, pod: &str) -> bool {
    shop.field(&format!("pod/{pod}"), ".status.conditions[?(@.type==\"Ready\")].status").await == "True"
}

#[tokio::test]
async fn a_dead_app_takes_no_more_traffic_of_its_service() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "dead").await;
    shop.apply(&(app("app", 2) + &client("client"))).await;
    shop.rolled_out("app").await;
    shop.pod_ready("client").await;
    let dead = shop.pods("app=app").await.remove(0);
    let target = format!("{}:8080", shop.field(&format!("pod/{dead}"), ".status.podIP").await);
    shop.get("client", &target, &["/close"]).await;
    eventually(Duration::from_secs(20), "not ready", async || !is_ready(&shop, &dead).await).await;
    for _ in 0..10 {
        let answer = shop.get("client", "app:8080", &["/", "--fail"]).await;
        assert_ne!(crate::harness::seen(&answer)["pod"], dead.as_str());
    }
}
