//! What the tests are given: a mesh with an app of some replicas, a meshed client and one outside of the mesh.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;
use weft_sandbox::{Options, Output, Pod, Running, Sandbox};

/// The app and its client.
pub const APP: &str = env!("CARGO_BIN_EXE_weft-test-app");

/// A running mesh. It ends with this value.
pub struct Mesh {
    /// The sandbox that it runs in.
    pub sandbox: Sandbox,
    folder: tempfile::TempDir,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

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

type Settings<'a> = &'a [(&'a str, &'a str)];

/// The same, with settings of both.
pub async fn mesh_set_up(replicas: u32, extra: &str, (of_plane, of_proxies): (Settings<'_>, Settings<'_>)) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    let text = manifest(replicas, folder.path()) + extra;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut options = Options::from_text(&format!("test-{}-{number}", std::process::id()), &text).unwrap();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.control_plane_env = of_plane.iter().map(owned).collect();
    options.proxy_env = of_proxies.iter().map(owned).collect();
    options.program = Some(Path::new(APP).with_file_name("weft"));
    let up = tokio::time::timeout(Duration::from_secs(60), Sandbox::up(options)).await;
    let sandbox = up.expect("the sandbox was not ready within a minute").expect("the sandbox cannot start");
    Mesh { sandbox, folder }
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

impl Mesh {
    /// Runs the test client in a pod and reads the JSON that it prints.
    pub async fn run(&self, pod: &str, arguments: &[&str]) -> Value {
        let output = self.try_run(pod, arguments).await;
        assert_eq!(output.code, 0, "{arguments:?} in {pod}: {}{}", output.stdout, output.stderr);
        json(&output)
    }

    /// Runs the test client in a pod, whatever comes of it.
    pub async fn try_run(&self, pod: &str, arguments: &[&str]) -> Output {
        self.start(pod, arguments).await.output().await.unwrap()
    }

    /// Starts the test client in a pod.
    pub async fn start(&self, pod: &str, arguments: &[&str]) -> Running {
        let words: Vec<&str> = [APP].iter().chain(arguments).copied().collect();
        self.sandbox.spawn_in(pod, &words).await.unwrap()
    }

    /// One request from a pod.
    pub async fn get(&self, pod: &str, target: &str, more: &[&str]) -> Value {
        let words: Vec<&str> = ["get", target].iter().chain(more).copied().collect();
        self.run(pod, &words).await
    }

    /// The app's replicas.
    pub async fn replicas(&self) -> Vec<Pod> {
        let pods = self.sandbox.pods().await.unwrap();
        pods.into_iter().filter(|pod| pod.name.starts_with("app-")).collect()
    }

    /// How often each id was delivered to any replica.
    pub fn deliveries(&self) -> std::collections::HashMap<String, usize> {
        let text = std::fs::read_to_string(self.folder.path().join("record")).unwrap_or_default();
        let mut deliveries = std::collections::HashMap::new();
        for id in text.lines().filter_map(|line| Some(line.split_once(" POST ")?.1)) {
            *deliveries.entry(id.to_owned()).or_default() += 1;
        }
        deliveries
    }

    /// A pod's metrics, as its proxy shows them.
    pub async fn metrics(&self, pod: &Pod) -> String {
        let target = format!("{}:4191", pod.address);
        let answer = self.get("outside", &target, &["/metrics"]).await;
        answer["body"].as_str().unwrap().to_owned()
    }

    /// The sum of a family's samples whose line has each of these texts.
    pub async fn metric(&self, pod: &Pod, family: &str, with: &[&str]) -> f64 {
        let text = self.metrics(pod).await;
        let lines =
            text.lines().filter(|line| line.starts_with(family) && with.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// What the control plane believes.
    pub async fn snapshot(&self) -> String {
        let answer = self.get("weft/weft-control-plane", "127.0.0.1:4181", &["/snapshot"]).await;
        answer["body"].as_str().unwrap().to_owned()
    }

    /// Where the manifest of a pod lies that the control plane reads. The sandbox writes it again only when the pod changes.
    pub fn manifest_of(&self, pod: &Pod) -> PathBuf {
        let name = format!("pod.{}.{}.yaml", pod.namespace, pod.name);
        self.sandbox.folder().join("control-plane/registry").join(name)
    }

    /// What a pod's proxy has written about itself.
    pub fn log(&self, pod: &Pod) -> String {
        let proxy = pod.containers.iter().find(|container| container.name.contains("weft")).expect("no sidecar");
        std::fs::read_to_string(&proxy.log).unwrap_or_default()
    }

    /// A pod by name.
    pub async fn pod(&self, name: &str) -> Pod {
        self.sandbox.find(name).await.unwrap()
    }
}

/// What the client printed.
pub fn json(output: &Output) -> Value {
    let line = output.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
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

/// Asks until the answer is yes, or the time is over.
pub async fn eventually<F: Future<Output = bool>>(limit: Duration, what: &str, mut ask: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + limit;
    while !ask().await {
        assert!(tokio::time::Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
