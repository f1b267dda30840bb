//! A namespace of a test's own, gone with the test.

use serde_json::Value;

use super::{APP, Cluster, Deliveries, Running};

/// Where on a node the records of all tests are.
const RECORDS: &str = "/var/weft-test";

/// A namespace. It is deleted when this value goes, without waiting for it.
pub struct Namespace {
    /// The cluster that it is in.
    pub cluster: &'static Cluster,
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// A namespace whose pods are meshed.
    pub async fn meshed(cluster: &'static Cluster, name: &str) -> Self {
        Self::labelled(cluster, name, "weft.dev/inject: enabled, ").await
    }

    /// A namespace that knows nothing of the mesh.
    pub async fn unmeshed(cluster: &'static Cluster, name: &str) -> Self {
        Self::labelled(cluster, name, "").await
    }

    async fn labelled(cluster: &'static Cluster, name: &str, label: &str) -> Self {
        // Names of deleted namespaces stay taken until all in them is gone: each run has its own.
        let name = format!("{name}-{:06x}", super::micros_now() / 1000 % 0x100_0000);
        // The app writes to the node's file system, so these namespaces are "privileged" anyway.
        let labels = format!("{label}weft.dev/test: \"\", pod-security.kubernetes.io/enforce: privileged");
        let namespace =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {name}, labels: {{ {labels} }} }}\n");
        cluster.apply(&namespace).await;
        let folder = format!("{RECORDS}/{name}");
        for node in cluster.nodes().await {
            cluster.on_node(&node, &["mkdir", "--parents", &folder]).await;
            cluster.on_node(&node, &["chmod", "777", &folder]).await;
        }
        Self { cluster, name }
    }

    /// Applies manifests in which IMAGE is the app's image and RECORD the folder of its records.
    pub async fn apply(&self, manifests: &str) {
        self.try_apply(manifests).await.success().await;
    }

    /// The same, whatever comes of it.
    pub async fn try_apply(&self, manifests: &str) -> Running {
        let text = manifests.replace("IMAGE", APP).replace("RECORD", &format!("{RECORDS}/{}", self.name));
        self.cluster.start_kubectl(&["--namespace", &self.name, "apply", "--filename", "-"], Some(&text)).await
    }

    /// Runs kubectl in this namespace; it must succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["--namespace", &self.name], arguments].concat()).await
    }

    /// Waits until a Deployment has all its replicas, and only those.
    pub async fn rolled_out(&self, deployment: &str) {
        self.kubectl(&["rollout", "status", &format!("deployment/{deployment}"), "--timeout", "240s"]).await;
    }

    /// Waits until a pod is ready.
    pub async fn pod_ready(&self, pod: &str) {
        self.kubectl(&["wait", "--for", "condition=Ready", &format!("pod/{pod}"), "--timeout", "180s"]).await;
    }

    /// Starts the test app's own command in a pod's app container.
    pub async fn start(&self, pod: &str, arguments: &[&str]) -> Running {
        let words = ["--namespace", &self.name, "exec", pod, "--container", "app", "--", "/weft-test-app"];
        self.cluster.start_kubectl(&[&words, arguments].concat(), None).await
    }

    /// The same, with a standard input that is open until the test ends it.
    pub fn start_interactive(&self, pod: &str, arguments: &[&str]) -> Running {
        let mut command = self.cluster.command("kubectl");
        command.args(["--namespace", &self.name, "exec", "--stdin", pod, "--container", "app", "--", "/weft-test-app"]);
        command.args(arguments);
        Running::start_interactive(command)
    }

    /// Runs it and reads the JSON that it prints.
    ///
    /// On a busy node `kubectl exec` at times ends well without having passed on what was printed; then it is run again.
    pub async fn run(&self, pod: &str, arguments: &[&str]) -> Value {
        for _ in 0..3 {
            let output = self.start(pod, arguments).await.success().await;
            if !output.stdout.is_empty() {
                return output.json();
            }
        }
        panic!("{arguments:?} in {pod} printed nothing, three times")
    }

    /// One request from a pod.
    pub async fn get(&self, pod: &str, target: &str, more: &[&str]) -> Value {
        self.run(pod, &[&["get", target], more].concat()).await
    }

    /// The names of the pods that have a label.
    pub async fn pods(&self, selector: &str) -> Vec<String> {
        let output = "jsonpath={.items[*].metadata.name}";
        let names = self.kubectl(&["get", "pods", "--selector", selector, "--output", output]).await;
        names.split_whitespace().map(ToOwned::to_owned).collect()
    }

    /// A field of an object, as jsonpath names it.
    pub async fn field(&self, object: &str, path: &str) -> String {
        self.kubectl(&["get", object, "--output", &format!("jsonpath={{{path}}}")]).await
    }

    /// What the apps of this namespace wrote down, on all nodes.
    pub async fn deliveries(&self) -> Deliveries {
        let mut text = String::new();
        for node in self.cluster.nodes().await {
            let files = format!("cat {RECORDS}/{}/* 2>/dev/null || true", self.name);
            text += &self.cluster.on_node(&node, &["sh", "-c", &files]).await;
        }
        Deliveries::parse(&text)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // for whoever looks into it; the next run deletes it
        }
        let mut delete = self.cluster.command_now("kubectl");
        let _ = delete.args(["delete", "namespace", &self.name, "--wait=false"]).status();
    }
}
