//! The app and its client as manifests. Namespaces are labelled; pods say nothing of the mesh.

/// The image of both.
pub const APP: &str = concat!("weft/test-app:", env!("CARGO_PKG_VERSION"));

/// A Deployment of the app, its Service and its service account. Ids of requests are recorded on the node, where they
/// outlive the pod.
pub fn app(name: &str, replicas: u32) -> String {
    format!(
        r#"---
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: {name} }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      serviceAccountName: {name}
{pod}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec:
  selector: {{ app: {name} }}
  ports:
  - {{ name: http, port: 8080 }}
  - {{ name: echo, port: 9000 }}
"#,
        pod = indented(POD, 6)
    )
}

/// What an app's pod holds.
const POD: &str = r#"containers:
- name: app
  image: IMAGE
  args: ["serve", "--record", "/record/requests"]
  env:
  - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
  ports: [{ name: http, containerPort: 8080 }]
  readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
  volumeMounts: [{ name: record, mountPath: /record }]
volumes:
- { name: record, hostPath: { path: RECORD, type: Directory } }"#;

/// A pod that load and single requests are sent from.
pub fn client(name: &str) -> String {
    format!(
        r#"---
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: {name} }}
---
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ app: {name} }} }}
spec:
  serviceAccountName: {name}
  terminationGracePeriodSeconds: 1
  containers:
  - {{ name: app, image: IMAGE, args: ["serve"] }}
"#
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<String>().trim_end().to_owned()
}
