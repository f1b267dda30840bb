//! What the tests are given: a mesh with one server, a meshed client and one outside of the mesh; and where the peers are.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use weft_tests::mesh::Mesh;

const APP: &str = env!("CARGO_BIN_EXE_weft-test-app");
/// More than the slowest peer needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Requests and connections, as a proxy counts them.
pub const REQUESTS: &str = "weft_http_requests_total";
pub const CONNECTIONS: &str = "weft_tcp_connections_total";

/// A mesh whose pod and Service `server` run this command and listen on these ports. Nothing is declared about what is
/// spoken there. The command starts in the mesh's folder.
pub async fn mesh(command: &[&str], ports: &[u16]) -> Mesh {
    let folder = tempfile::tempdir().unwrap();
    let sleep = &["sleep", "1000000"][..];
    let named: Vec<_> = ports.iter().map(|port| json!({ "name": format!("port-{port}"), "port": port })).collect();
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "test" } }),
        pod("server", command, folder.path(), Some(ports[0])),
        pod("client", sleep, folder.path(), None),
        pod("outside", sleep, folder.path(), None),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "server", "namespace": "test" },
            "spec": { "selector": { "app": "server" }, "ports": named },
        }),
    ];
    let manifests: Vec<String> = objects.iter().map(ToString::to_string).collect();
    Mesh::up(APP, (folder, &manifests.join("\n---\n")), (&[], &[])).await
}

/// A pod of one container, which is ready once it accepts connections on `port`. All but `outside` are meshed.
fn pod(name: &str, command: &[&str], folder: &Path, port: Option<u16>) -> serde_json::Value {
    let node_path = json!({ "name": "NODE_PATH", "value": tools().join("node_modules") });
    let mut container =
        json!({ "name": name, "image": "none", "command": command, "workingDir": folder, "env": [node_path] });
    if let Some(port) = port {
        container["readinessProbe"] =
            json!({ "tcpSocket": { "port": port }, "periodSeconds": 1, "failureThreshold": 60 });
    }
    let inject = if name == "outside" { "disabled" } else { "enabled" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "test", "labels": { "app": name, "weft.dev/inject": inject } },
        "spec": { "serviceAccountName": name, "terminationGracePeriodSeconds": 1, "containers": [container] },
    })
}

/// Runs a program in a pod; what it wrote, once it has ended well.
pub async fn run(mesh: &Mesh, pod: &str, words: &[&str]) -> String {
    let output = async { mesh.sandbox.exec(pod, words).await.unwrap() };
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.unwrap_or_else(|_| panic!("{words:?} in {pod} did not end within {PATIENCE:?}"));
    let text = output.stdout + &output.stderr;
    assert_eq!(output.code, 0, "{words:?} in {pod}: {text}");
    text
}

/// How much of a family the client's proxy has sent to the server over the mesh.
pub async fn crossed(mesh: &Mesh, family: &str) -> f64 {
    let labels = ["direction=\"outbound\"", "service=\"server\"", "mtls=\"true\""];
    mesh.metric(&mesh.pod("client").await, family, &labels).await
}

/// A file of tests/tests/peers/apps, as a word of a command.
pub fn app(name: &str) -> String {
    format!("{}/tests/peers/apps/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where these peers are, or `None` where one is missing.
///
/// Programs are named as in PATH; what `make tools` makes, by its path in target/tools; a Python module, by its folder.
#[expect(clippy::explicit_write, reason = "the test harness keeps what a passing test prints by macros")]
pub fn peers<const N: usize>(names: [&str; N]) -> Option<[String; N]> {
    let found = names.map(|name| folders().map(|folder| folder.join(name)).find(|file| file.exists()).ok_or(name));
    for name in found.iter().filter_map(|found| found.as_ref().err()) {
        let message = format!("{name} is missing: run `.ci/packages` and `make tools`");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        writeln!(std::io::stderr(), "NOT RUN: {message}").unwrap();
    }
    let found = found.into_iter().map(|found| Some(found.ok()?.to_str()?.to_owned())).collect::<Option<Vec<_>>>()?;
    found.try_into().ok()
}

/// What `make tools` makes.
fn tools() -> PathBuf {
    Path::new(APP).ancestors().nth(2).unwrap().join("tools")
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = ["/usr/bin", "/usr/sbin", "/usr/lib/python3/dist-packages"].map(PathBuf::from);
    // Debian keeps PostgreSQL's servers by version.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let postgresql: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    debian.into_iter().chain([tools()]).chain(path).chain(postgresql)
}
