//! What pods of all kinds may count on: jobs end, init containers have the network, StatefulSets have their names.

use crate::harness::{Namespace, app, client, header, seen, shared};

const JOB: &str = r#"---
apiVersion: batch/v1
kind: Job
metadata: { name: once }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - { name: app, image: IMAGE, args: ["get", "app:8080", "--fail"] }
"#;

#[tokio::test]
async fn a_job_with_a_sidecar_completes() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "job").await;
    shop.apply(&app("app", 1)).await;
    shop.rolled_out("app").await;
    shop.apply(JOB).await;
    shop.kubectl(&["wait", "--for", "condition=Complete", "job/once", "--timeout", "120s"]).await;
    let annotation = ".items[*].metadata.annotations.weft\\.dev/injected";
    let pods = ["get", "pods", "--selector", "job-name=once", "--output"];
    let injected = shop.kubectl(&[&pods[..], &[&format!("jsonpath={{{annotation}}}")]].concat()).await;
    assert_eq!(injected, "true");
}

const EARLY: &str = r#"---
apiVersion: v1
kind: Pod
metadata: { name: early }
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - { name: fetch, image: IMAGE, args: ["get", "app:8080", "--fail"] }
  containers:
  - { name: app, image: IMAGE, args: ["serve"] }
"#;

#[tokio::test]
async fn an_init_container_reaches_the_network_by_mtls() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "init").await;
    shop.apply(&app("app", 1)).await;
    shop.rolled_out("app").await;
    shop.apply(EARLY).await;
    shop.pod_ready("early").await;
    let printed = shop.kubectl(&["logs", "early", "--container", "fetch"]).await;
    let answer: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let identity = format!("spiffe://cluster.local/ns/{}/sa/default", shop.name);
    assert_eq!(header(&seen(&answer)["headers"], "weft-client-identity"), [identity]);
}

const STATEFUL: &str = r#"---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: IMAGE
        args: ["serve"]
        env:
        - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: db }
spec:
  clusterIP: None
  selector: { app: db }
  ports:
  - { name: http, port: 8080 }
"#;

#[tokio::test]
async fn a_pod_of_a_stateful_set_is_reached_by_its_own_name() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "stateful").await;
    shop.apply(&(STATEFUL.to_owned() + &client("client"))).await;
    shop.kubectl(&["rollout", "status", "statefulset/db", "--timeout", "180s"]).await;
    shop.pod_ready("client").await;
    for pod in ["db-0", "db-1", "db-1", "db-0"] {
        let answer = shop.get("client", &format!("{pod}.db:8080"), &["/"]).await;
        let seen = seen(&answer);
        assert_eq!(seen["pod"], pod, "{answer}");
        assert_eq!(header(&seen["headers"], "weft-client-identity").len(), 1, "not meshed: {answer}");
    }
    let answer = shop.get("client", "db:8080", &["/"]).await;
    assert_eq!(answer["status"], 200, "the headless Service itself: {answer}");
}
