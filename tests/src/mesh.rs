//! A mesh in a sandbox, as the tests of several kinds start it and ask it.
//!
//! What runs in it is the manifests' business; the client is `weft-test-app`, and pods are found by the names that these
//! manifests give: `client` in the mesh, `outside` beside it.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics when it fails")]

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use weft_sandbox::{Options, Output, Pod, Running, Sandbox};

/// A running mesh. It ends with this value.
pub struct Mesh {
    /// The sandbox that it runs in.
    pub sandbox: Sandbox,
    /// What its apps write, and are given to read.
    pub folder: TempDir,
    app: &'static str,
}

/// Settings (`WEFT_...`), as names and values.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl Mesh {
    /// Runs manifests that know this folder, with settings of the control plane and of every proxy, and waits until all
    /// is ready. `app` is where `weft-test-app` was built, and the mesh's own programs beside it.
    pub async fn up(
        app: &'static str,
        (folder, manifests): (TempDir, &str),
        (of_plane, of_proxies): (Settings<'_>, Settings<'_>),
    ) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut options = Options::from_text(&format!("test-{}-{number}", std::process::id()), manifests).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        options.control_plane_env = of_plane.iter().map(owned).collect();
        options.proxy_env = of_proxies.iter().map(owned).collect();
        options.program = Some(Path::new(app).with_file_name("weft"));
        let up = tokio::time::timeout(Duration::from_secs(60), Sandbox::up(options)).await;
        let sandbox = up.expect("the sandbox was not ready within a minute").expect("the sandbox cannot start");
        Self { sandbox, folder, app }
    }

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
        let words: Vec<&str> = [self.app].iter().chain(arguments).copied().collect();
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

    /// What the replicas have written down: a line for each request that reached one of them.
    pub fn record(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("record")).unwrap_or_default()
    }

    /// How often each id was delivered to any replica.
    pub fn deliveries(&self) -> std::collections::HashMap<String, usize> {
        let text = self.record();
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

/// Asks until the answer is yes, or the time is over.
pub async fn eventually<F: Future<Output = bool>>(limit: Duration, what: &str, mut ask: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + limit;
    while !ask().await {
        assert!(tokio::time::Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
