//! What the tests are given: a mesh with an app of some replicas, a meshed client and one outside of the mesh.

use std::path::Path;

use serde_json::Value;
pub use weft_tests::mesh::{Mesh, Settings, eventually, json};

/// The app and its client.
pub const APP: &str = env!("CARGO_BIN_EXE_weft-test-app");

/// A route to a Service whose requests are tried again as `retry` says.
pub fn retried(service: &str, retry: &str) -> String {
    format!(
        r#"---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: {service}, namespace: test }}
spec:
  parentRefs: [{{ group: "", kind: Service, name: {service}, port: 8080 }}]
  rules:
  - backendRefs: [{{ name: {service}, port: 8080 }}]
    retry: {{ {retry} }}
"#
    )
}

/// A mesh whose app has so many replicas; `extra` are more manifests.
pub async fn mesh(replicas: u32, extra: &str) -> Mesh {
    mesh_with(replicas, extra, &[]).await
}

/// The same, with settings of every proxy.
pub async fn mesh_of_proxies(replicas: u32, settings: &[(&str, &str)]) -> Mesh {
    mesh_set_up(replicas, "", (&[], settings)).await
}

/// The same, with settings of the control plane.
pub async fn mesh_with(replicas: u32, extra: &str, settings: &[(&str, &str)]) -> Mesh {
    mesh_set_up(replicas, extra, (settings, &[])).await
}

/// The same, with settings of both.
pub async fn mesh_set_up(replicas: u32, extra: &str, settings: (Settings<'_>, Settings<'_>)) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    let manifests = manifest(replicas, folder.path()) + extra;
    Mesh::up(APP, (folder, &manifests), settings).await
}

fn manifest(replicas: u32, folder: &Path) -> String {
    let record = folder.join("record");
    let record = record.display();
    format!(
        r#"
apiVersion: v1
kind: Namespace
metadata: {{ name: test }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: app, namespace: test }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: app }} }}
  template:
    metadata: {{ labels: {{ app: app, weft.dev/inject: enabled }} }}
    spec:
      serviceAccountName: app
      containers:
      - name: app
        image: none
        command: ["{APP}", "serve", "--record", "{record}"]
        env:
        - {{ name: POD_NAME, valueFrom: {{ fieldRef: {{ fieldPath: metadata.name }} }} }}
        readinessProbe: {{ tcpSocket: {{ port: 8080 }}, periodSeconds: 1 }}
---
apiVersion: v1
kind: Service
metadata: {{ name: app, namespace: test }}
spec:
  selector: {{ app: app }}
  ipFamilyPolicy: PreferDualStack
  ports:
  - {{ name: http, port: 8080 }}
  - {{ name: echo, port: 9000 }}
  - {{ name: greet, port: 2525 }}
---
apiVersion: v1
kind: Pod
metadata: {{ name: client, namespace: test, labels: {{ app: client, weft.dev/inject: enabled }} }}
spec:
  serviceAccountName: client
  containers:
  - {{ name: client, image: none, command: ["sleep", "1000000"] }}
---
apiVersion: v1
kind: Pod
metadata: {{ name: outside, namespace: test, labels: {{ app: outside }} }}
spec:
  containers:
  - {{ name: client, image: none, command: ["sleep", "1000000"] }}
---
"#
    )
}

/// What the app saw of a request, from its answer.
pub fn seen(answer: &Value) -> Value {
    let body = answer["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The values of a header field, among pairs of name and value.
pub fn header<'a>(headers: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = headers.as_array().unwrap().iter();
    pairs.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect()
}

/// No request failed, no POST came twice, and each that was answered came once.
pub fn assert_nothing_lost(mesh: &Mesh, report: &Value, failures_allowed: bool) {
    let deliveries = mesh.deliveries();
    if !failures_allowed {
        assert_eq!((&report["failed_gets"], &report["failed_posts"]), (&0.into(), &0.into()), "{}", report["failures"]);
    }
    assert!(report["requests"].as_u64().unwrap() > 100, "{report}");
    let twice: Vec<_> = deliveries.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "delivered more than once: {twice:?}");
    for id in report["posted"].as_array().unwrap() {
        assert_eq!(deliveries.get(id.as_str().unwrap()), Some(&1), "answered but not delivered: {id}");
    }
}
