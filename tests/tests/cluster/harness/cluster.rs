//! The cluster of the tests: made once, used again by the next run, and with this source's Weft in it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::Command,
    sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{Output, Running, eventually};

/// The version of every image.
const VERSION: &str = env!("CARGO_PKG_VERSION");
const PLANE: &str = "deployment/weft-control-plane";
const IMAGES: [&str; 3] = ["proxy", "control-plane", "test-app"];

/// A pod that the webhook is asked about and that is never made.
const TRIAL: &str = "apiVersion: v1
kind: Pod
metadata: { name: trial, namespace: default, labels: { weft.dev/inject: enabled } }
spec: { containers: [{ name: app, image: none }] }
";

static ONE_NODE: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
static TWO_WORKERS: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
static TURNS: RwLock<()> = RwLock::const_new(());

/// A cluster and the commands that reach it.
pub struct Cluster {
    environment: HashMap<String, String>,
    weft: PathBuf,
}

/// What holds off all other tests.
pub type Turn = RwLockWriteGuard<'static, ()>;

/// The cluster, for a test that leaves the mesh itself alone.
pub async fn shared() -> (&'static Cluster, RwLockReadGuard<'static, ()>) {
    let turn = TURNS.read().await;
    (one_node().await, turn)
}

/// The cluster, for a test that takes away what all others need, or that measures time: nothing else runs meanwhile.
pub async fn alone() -> (&'static Cluster, Turn) {
    let turn = TURNS.write().await;
    (one_node().await, turn)
}

/// A cluster of its own, with two workers; nothing else runs meanwhile.
pub async fn two_workers() -> (&'static Cluster, Turn) {
    let turn = TURNS.write().await;
    (is_there(TWO_WORKERS.get_or_init(|| Cluster::start("weft-test-2", 2)).await), turn)
}

async fn one_node() -> &'static Cluster {
    is_there(ONE_NODE.get_or_init(|| Cluster::start("weft-test", 0)).await)
}

fn is_there(cluster: &'static Result<Cluster, String>) -> &'static Cluster {
    cluster.as_ref().unwrap_or_else(|error| panic!("THE CLUSTER TESTS CANNOT RUN HERE: {error}"))
}

impl Cluster {
    /// A cluster of this name and number of workers, with this source's Weft.
    ///
    /// # Errors
    /// What is missing, in words. It is kept, so that each test says so at once.
    async fn start(name: &str, workers: u32) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        succeed(Command::new(root.join("deploy/kind/possible"))).await?;
        let mut command = Command::new("bash");
        command.current_dir(root).args(["-c", "set -e; source deploy/kind/lib.sh; env -0"]);
        let printed = succeed(command).await?;
        let mut environment: HashMap<String, String> = printed
            .split('\0')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut up = Command::new(root.join("deploy/kind/up"));
        up.args([name, &workers.to_string()]);
        environment.insert("KUBECONFIG".to_owned(), succeed(up).await?.trim().to_owned());
        let weft = Path::new(env!("CARGO_BIN_EXE_weft-test-app")).with_file_name("weft");
        let cluster = Self { environment, weft };
        let mut load = Command::new(root.join("deploy/kind/load"));
        load.arg(name).args(IMAGES.map(|image| format!("weft/{image}:{VERSION}")));
        succeed(load).await.map_err(|error| format!("{error}\nbuild the images: make test-images"))?;
        cluster.install().await;
        Ok(cluster)
    }

    /// Installs Weft, also over an older one, and starts the control plane anew: its image may have changed under its name.
    pub async fn install(&self) {
        self.kubectl(&["delete", "namespace", "--selector", "weft.dev/test", "--wait=false"]).await;
        let objects = self.weft(&["install", "--tap"]).await.stdout;
        self.apply(&objects).await;
        self.mesh(&["scale", PLANE, "--replicas", "1"]).await; // a run that was broken off may have left none
        self.mesh(&["rollout", "restart", PLANE]).await;
        self.control_plane_ready().await;
    }

    /// Waits until every replica of the control plane is ready, and the API server reaches its webhook: its way there, by
    /// kube-proxy, opens a moment after the pod is ready.
    pub async fn control_plane_ready(&self) {
        self.mesh(&["rollout", "status", PLANE, "--timeout", "180s"]).await;
        let create = ["create", "--dry-run=server", "--filename", "-"];
        let admitted = async || self.try_kubectl(&create, Some(TRIAL)).await.code == 0;
        eventually(Duration::from_secs(30), "a pod is admitted", admitted).await;
    }

    /// Takes the control plane away, and waits until no process of it is left.
    pub async fn stop_control_plane(&self) {
        self.mesh(&["scale", PLANE, "--replicas", "0"]).await;
        let pods = ["pod", "--selector", "app.kubernetes.io/name=weft-control-plane", "--timeout", "120s"];
        self.mesh(&[&["wait", "--for", "delete"], &pods[..]].concat()).await;
    }

    /// Brings it back, and waits until it is ready.
    pub async fn start_control_plane(&self) {
        self.mesh(&["scale", PLANE, "--replicas", "1"]).await;
        self.control_plane_ready().await;
    }

    /// Runs kubectl in the mesh's own namespace.
    pub async fn mesh(&self, arguments: &[&str]) -> String {
        self.kubectl(&[&["--namespace", "weft"], arguments].concat()).await
    }

    /// Runs kubectl, which must succeed; returns what it prints.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.start_kubectl(arguments, None).await.success().await.stdout
    }

    /// Runs kubectl, whatever comes of it.
    pub async fn try_kubectl(&self, arguments: &[&str], stdin: Option<&str>) -> Output {
        self.start_kubectl(arguments, stdin).await.output().await
    }

    /// Starts kubectl.
    pub async fn start_kubectl(&self, arguments: &[&str], stdin: Option<&str>) -> Running {
        let mut command = self.command("kubectl");
        command.args(arguments);
        Running::start(command, stdin).await
    }

    /// Applies manifests.
    pub async fn apply(&self, manifests: &str) {
        self.start_kubectl(&["apply", "--filename", "-"], Some(manifests)).await.success().await;
    }

    /// Runs the command-line tool, which must succeed.
    pub async fn weft(&self, arguments: &[&str]) -> Output {
        self.start_weft(arguments).await.success().await
    }

    /// Starts the command-line tool.
    pub async fn start_weft(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(self.weft.to_str().expect("a path in UTF-8"));
        command.args(arguments);
        Running::start(command, None).await
    }

    /// Runs a command in a node's container.
    pub async fn on_node(&self, node: &str, words: &[&str]) -> String {
        let mut command = self.command("docker");
        command.args(["exec", node]).args(words);
        Running::start(command, None).await.success().await.stdout
    }

    /// The names of the nodes.
    pub async fn nodes(&self) -> Vec<String> {
        let names = self.kubectl(&["get", "nodes", "--output", "jsonpath={.items[*].metadata.name}"]).await;
        names.split_whitespace().map(ToOwned::to_owned).collect()
    }

    /// The node whose files are the control plane's of Kubernetes.
    pub async fn control_plane_node(&self) -> String {
        let nodes = self.nodes().await;
        nodes.into_iter().find(|node| node.ends_with("-control-plane")).expect("kind names it so")
    }

    /// A command that reaches this cluster.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.environment);
        command
    }

    /// The same, for where nothing can be awaited.
    pub fn command_now(&self, program: &str) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.env_clear().envs(&self.environment).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

async fn succeed(command: Command) -> Result<String, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = Running::start(command, None).await.output().await;
    if output.code == 0 { Ok(output.stdout) } else { Err(format!("{program}: {}", output.stderr.trim())) }
}
