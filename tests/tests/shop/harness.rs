//! What the tests are given: the whole shop in a mesh, and a pod that its customers call from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use weft_sandbox::{Output, Pod, Running};
use weft_tests::mesh::Mesh;

const APP: &str = env!("CARGO_BIN_EXE_weft-test-app");
/// More than the longest run of the shop's own programs takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// Signals: dead at once; still until it may go on.
pub const KILL: i32 = 9;
pub const STOP: i32 = 19;
pub const CONTINUE: i32 = 18;

/// A service, and whether it speaks REST and gRPC.
pub type Service = (&'static str, bool, bool);

/// Those that keep something. Each has two replicas on one database.
pub const KEEPERS: [Service; 5] = [
    ("users", true, true),
    ("catalog", true, false),
    ("inventory", false, true),
    ("payments", false, true),
    ("orders", true, true),
];
/// Those that follow orders.
pub const FOLLOWERS: [Service; 2] = [("notifications", true, false), ("analytics", true, false)];
/// Those in front.
pub const FRONTS: [Service; 3] = [("edge", true, false), ("web-bff", true, false), ("mobile-bff", true, false)];

/// The meshed shop. There is one at a time, however many tests run beside each other: it is as much as two cores can carry.
pub struct Shop {
    /// Its mesh.
    pub mesh: Mesh,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::const_new(());

impl Shop {
    /// All services, every pod meshed. The second replica of each keeper has `trouble`, as examples/src/faults.rs reads it.
    pub async fn open(trouble: &[(&str, &str)]) -> Self {
        Self::open_with(trouble, &[], &[]).await
    }

    /// The same, with settings of all services, and more objects.
    pub async fn open_with(trouble: &[(&str, &str)], settings: &[(&str, &str)], more: &[Value]) -> Self {
        let only = ONLY.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let mut objects = vec![json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })];
        for service in KEEPERS {
            objects.push(deployment(service, service.0, folder.path(), settings));
            let both = [settings, trouble].concat();
            objects.push(deployment(service, &format!("{}-troubled", service.0), folder.path(), &both));
            objects.push(endpoint(service));
        }
        for service in [&FOLLOWERS[..], &FRONTS[..]].concat() {
            objects.push(deployment(service, service.0, folder.path(), settings));
            objects.push(endpoint(service));
        }
        let sleep = &["sleep", "1000000"];
        objects.push(pod("client", sleep, folder.path()));
        // Metrics are read from outside of the mesh.
        let mut outside = pod("outside", sleep, folder.path());
        outside["metadata"]["labels"]["weft.dev/inject"] = json!("disabled");
        objects.push(outside);
        objects.extend_from_slice(more);
        let manifests: Vec<String> = objects.iter().map(ToString::to_string).collect();
        Self { mesh: Mesh::up(APP, (folder, &manifests.join("\n---\n")), (&[], &[])).await, _only: only }
    }

    /// Starts one of the shop's own programs in the client's pod.
    pub async fn start(&self, arguments: &[&str]) -> Running {
        let program = program();
        let words: Vec<&str> = [program.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
        self.mesh.sandbox.spawn_in("client", &words).await.unwrap()
    }

    /// Customers who make so many orders.
    pub async fn load(&self, orders: u32, mode: &str) -> Running {
        self.start(&["load", "--orders", &orders.to_string(), "--customers", "12", "--mode", mode]).await
    }

    /// The pods of a service that run.
    pub async fn pods(&self, service: &str) -> Vec<Pod> {
        let pods = self.mesh.sandbox.pods().await.unwrap();
        let deployment = |pod: &Pod| pod.name.rsplit_once('-').map_or("", |(name, _)| name).to_owned();
        pods.into_iter().filter(|pod| deployment(pod).trim_end_matches("-troubled") == service).collect()
    }

    /// Sends a signal to the app, or else to the sidecar, of each of a service's pods.
    pub async fn strike(&self, service: &str, container: &str, signal: i32) {
        let is_wanted = |name: &str| if container == "app" { name == "app" } else { name.contains("weft") };
        let pods = self.pods(service).await;
        assert!(!pods.is_empty(), "{service} has no pods");
        for pod in pods {
            let container = pod.containers.iter().find(|one| is_wanted(&one.name)).unwrap();
            self.mesh.sandbox.kill(&pod, &container.name, signal).await.unwrap();
        }
    }

    /// A JSON answer from within the shop, asked by the client's pod.
    pub async fn get(&self, target: &str, path: &str, user: Option<i64>) -> Value {
        let header = user.map(|user| format!("shop-user={user}"));
        let mut words = vec![path];
        if let Some(header) = &header {
            words.extend(["--header", header]);
        }
        let answer = self.mesh.get("client", target, &words).await;
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

/// What a load says of itself, once it has ended well.
pub async fn report(load: Running) -> Value {
    let output = finished(load).await;
    let report = output.stdout.lines().last().unwrap_or_default();
    assert_eq!(output.code, 0, "{report}{}", output.stderr);
    serde_json::from_str(report).unwrap_or_else(|error| panic!("{error}: {report}{}", output.stderr))
}

/// How one of the shop's programs has ended.
pub async fn finished(program: Running) -> Output {
    let output = tokio::time::timeout(PATIENCE, program.output()).await;
    output.unwrap_or_else(|_| panic!("no end within {PATIENCE:?}")).unwrap()
}

fn program() -> PathBuf {
    Path::new(APP).with_file_name("shop")
}

fn deployment((service, rest, _): Service, name: &str, folder: &Path, settings: &[(&str, &str)]) -> Value {
    let database = format!("sqlite://{}/{service}.db?mode=rwc", folder.display());
    let given = [
        ("DATABASE_URL", &*database),
        ("JWT_SECRET", "the same for both replicas of the edge"),
        ("RATE_LIMIT", "100000"),
        ("IN_DOUBT_PATIENCE", "1s"),
        ("LEASE", "2s"),
    ];
    let env: Vec<_> =
        given.iter().chain(settings).map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let port = if rest { 8080 } else { 9090 };
    let labels = json!({ "app": service, "replica": name, "weft.dev/inject": "enabled" });
    let container = json!({
        "name": "app", "image": "none", "command": [program(), service], "workingDir": folder, "env": env,
        "readinessProbe": { "tcpSocket": { "port": port }, "periodSeconds": 1, "failureThreshold": 60 },
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "shop" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": service, "replica": name } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "serviceAccountName": service, "terminationGracePeriodSeconds": 5, "containers": [container] },
            },
        },
    })
}

fn endpoint((service, rest, grpc): Service) -> Value {
    let http = rest.then(|| json!({ "name": "http", "port": 8080, "appProtocol": "http" }));
    let grpc = grpc.then(|| json!({ "name": "grpc", "port": 9090, "appProtocol": "kubernetes.io/h2c" }));
    let ports: Vec<_> = [http, grpc].into_iter().flatten().collect();
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": service, "namespace": "shop" },
        "spec": { "selector": { "app": service }, "ports": ports },
    })
}

/// A registry, and a mobile BFF that asks it where the catalogs are.
pub fn more() -> Vec<Value> {
    let (registry, picking) = (("registry", true, false), ("mobile-bff", true, false));
    let folder = Path::new("/tmp");
    let settings = [("CATALOG_URL", "registry:catalog"), ("REGISTRY_URL", "http://registry:8080")];
    let mut deployment_that_picks = deployment(picking, "picking", folder, &settings);
    let mut endpoint_that_picks = endpoint(picking);
    for labels in ["/spec/selector/matchLabels/app", "/spec/template/metadata/labels/app"] {
        *deployment_that_picks.pointer_mut(labels).unwrap() = json!("picking");
    }
    for name in ["/metadata/name", "/spec/selector/app"] {
        *endpoint_that_picks.pointer_mut(name).unwrap() = json!("picking");
    }
    vec![deployment(registry, "registry", folder, &[]), endpoint(registry), deployment_that_picks, endpoint_that_picks]
}

/// A meshed pod of one container.
pub fn pod(name: &str, command: &[&str], folder: &Path) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": { "app": name, "weft.dev/inject": "enabled" } },
        "spec": {
            "serviceAccountName": name,
            "containers": [{ "name": "app", "image": "none", "command": command, "workingDir": folder }],
        },
    })
}
