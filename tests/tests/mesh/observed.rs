//! What Prometheus makes of the mesh: the shipped configuration, rules, dashboard and page, each with real answers.
//!
//! Needs Debian's package prometheus (prometheus and promtool); without it these tests fail.

use std::{path::Path, process::Command, time::Duration};

use tokio::time::{Instant, sleep};
use weft_sandbox::Running;
use weft_tests::{
    prometheus::{self, Sample, has_data},
    queries::{self, Query},
};

use crate::harness::{Mesh, mesh};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/k8s/prometheus");
const CONFIG: &str = include_str!("../../../deploy/k8s/prometheus/prometheus.yaml");
/// Where the control plane is on a cluster.
const CONTROL_PLANE: &str = "weft-control-plane.weft.svc:4181";
const PORT: u16 = 9090;
/// For the first figures of everything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: all, namespace: test }\n\
                     spec:\n  parentRefs: [{ group: \"\", kind: Service, name: app, port: 8080 }]\n  \
                     rules: [{ backendRefs: [{ name: app, port: 8080 }] }]\n---\n";

#[test]
fn the_rules_are_sound_and_hold_their_unit_tests() {
    promtool(&["check", "rules", "weft.rules.yaml"]);
    promtool(&["test", "rules", "weft.rules.test.yaml"]);
    promtool(&["check", "config", "--syntax-only", "prometheus.yaml"]);
}

#[tokio::test]
async fn prometheus_finds_the_mesh_and_answers_every_query_that_is_shipped() {
    let mesh = mesh(2, ROUTE).await;
    let folder = tempfile::tempdir().unwrap();
    let observer = Observer::start(&mesh, folder.path()).await;
    let load = ["load", "app:8080", "--seconds", "600", "--clients", "2", "--pause-ms", "50"];
    let _meshed = mesh.start("client", &load).await;
    let _plain = mesh.start("outside", &load).await;
    let _opaque = mesh.start("client", &["hold", "app:9000", "--seconds", "600"]).await;

    for golden in queries::of_page(queries::GOLDEN) {
        observer.answers(&golden).await;
    }
    for query in queries::of_dashboard(queries::DASHBOARD).unwrap() {
        observer.ask(&query).await;
    }

    observer.settles("count(up == 0) or vector(0)", |down| down == 0.0).await;
    for caller in ["spiffe://cluster.local/ns/test/sa/client", ""] {
        let edge = format!("edge:weft_http_requests:rate5m{{service=\"app\", client_identity=\"{caller}\"}}");
        observer.settles(&edge, |rate| rate > 0.0).await;
    }
    let success =
        "service_route:weft_http_success:ratio_rate5m{direction=\"outbound\", service=\"app\", route=~\"test/all.*\"}";
    observer.settles(success, |share| share == 1.0).await;
    let mtls = "service:weft_http_mtls:ratio_rate5m{direction=\"inbound\", service=\"app\"}";
    observer.settles(mtls, |share| share > 0.1 && share < 0.9).await;
}

/// A Prometheus in the pod outside of the mesh.
struct Observer<'a> {
    mesh: &'a Mesh,
    _running: Running,
}

impl<'a> Observer<'a> {
    /// The shipped configuration, but for the control plane's address, and for how often there is a scrape.
    async fn start(mesh: &'a Mesh, folder: &Path) -> Self {
        let plane = mesh.sandbox.find("weft-control-plane").await.unwrap();
        let config = CONFIG.replace(CONTROL_PLANE, &format!("{}:4181", plane.address)).replace("15s", "1s");
        // There is no API server here, and the control plane is no Pod object.
        let (config, _) = config.split_once("  # What the API server says").unwrap();
        let own = format!(
            "    static_configs:\n      - {{ targets: [\"{}:4181\"], labels: {{ component: control-plane, pod: plane }} }}\n",
            plane.address
        );
        std::fs::write(folder.join("prometheus.yaml"), config.to_owned() + &own).unwrap();
        std::fs::copy(Path::new(FOLDER).join("weft.rules.yaml"), folder.join("weft.rules.yaml")).unwrap();
        let words = [
            "prometheus".to_owned(),
            format!("--config.file={}/prometheus.yaml", folder.display()),
            format!("--storage.tsdb.path={}/data", folder.display()),
            format!("--web.listen-address=:{PORT}"),
            "--log.level=warn".to_owned(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let running = mesh.sandbox.spawn_in("outside", &words).await;
        Self { mesh, _running: running.expect("prometheus is missing: apt-get install prometheus") }
    }

    /// Waits until the one value of a query is as it should be: rates over the first few scrapes are not yet.
    async fn settles(&self, query: &str, is_right: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let samples = self.asked(query).await;
            if samples.first().and_then(|sample| sample.1.parse().ok()).is_some_and(&is_right) {
                return;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {query}: {samples:?}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until a query has data.
    async fn answers(&self, query: &Query) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_ask(query).await;
            if answer.as_ref().is_ok_and(|samples| has_data(samples)) {
                return;
            }
            assert!(Instant::now() < deadline, "no data within {PATIENCE:?}: {query:?}: {answer:?}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// The answer to a query, which may be that there is nothing.
    async fn ask(&self, query: &Query) -> Vec<Sample> {
        self.try_ask(query).await.unwrap_or_else(|error| panic!("{query:?}: {error:#}"))
    }

    async fn asked(&self, text: &str) -> Vec<Sample> {
        self.ask(&Query { place: "the test".to_owned(), text: text.to_owned() }).await
    }

    async fn try_ask(&self, query: &Query) -> anyhow::Result<Vec<Sample>> {
        let pod = self.mesh.pod("outside").await;
        let connection = self.mesh.sandbox.connect(None, pod.address, PORT).await?;
        prometheus::ask(connection, &query.text).await
    }
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(FOLDER).output();
    let output = output.expect("promtool is missing: apt-get install prometheus");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {out}{error}");
}
