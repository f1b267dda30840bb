//! A real Prometheus in the cluster: it finds every proxy and the control plane by itself, and answers the golden queries.
//!
//! Its image is made of Debian's package by ../shared/kind, where that folder exists; elsewhere it is pulled.

use std::{path::Path, time::Duration};

use weft_tests::{
    prometheus::{self, Sample, has_data, label},
    queries,
};

use crate::harness::{Cluster, Namespace, app, client, eventually, shared};

/// For the first scrapes at the shipped interval, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/k8s");
const LOCAL_IMAGE: &str = "weft/prometheus:local";

#[tokio::test]
async fn prometheus_finds_the_mesh_and_answers_the_golden_queries() {
    let (cluster, _turn) = shared().await;
    install(cluster).await;
    let shop = Namespace::meshed(cluster, "observed").await;
    shop.apply(&(app("app", 2) + &client("client"))).await;
    let plain = Namespace::unmeshed(cluster, "observer").await;
    plain.apply(&client("client")).await;
    shop.rolled_out("app").await;
    shop.pod_ready("client").await;
    plain.pod_ready("client").await;
    let load = |target| ["load", target, "--seconds", "900", "--clients", "2", "--pause-ms", "50", "--until-eof"];
    let target = format!("app.{}:8080", shop.name);
    let _meshed = shop.start_interactive("client", &load(&target));
    let _plain = plain.start_interactive("client", &load(&target));

    for query in queries::of_page(queries::GOLDEN) {
        let answered = async || ask(cluster, &query.text).await.is_ok_and(|samples| has_data(&samples));
        eventually(PATIENCE, &format!("data for {query:?}"), answered).await;
    }
    for query in queries::of_dashboard(queries::DASHBOARD).unwrap() {
        ask(cluster, &query.text).await.unwrap_or_else(|error| panic!("{query:?}: {error:#}"));
    }
    the_picture_is_right(cluster, &shop.name).await;
    cluster.mesh(&["delete", "deployment", "weft-prometheus"]).await;
}

/// Every proxy and the control plane are found, and callers are told apart by identity.
async fn the_picture_is_right(cluster: &Cluster, namespace: &str) {
    let of = format!("namespace=\"{namespace}\", service=\"app\"");
    let callers = ask(cluster, &format!("edge:weft_http_requests:rate5m{{{of}}} > 0")).await.unwrap();
    let callers: Vec<_> = callers.iter().map(|sample| label(sample, "client_identity")).collect();
    let expected = format!("spiffe://cluster.local/ns/{namespace}/sa/client");
    assert!(callers.contains(&&*expected) && callers.contains(&""), "{callers:?}");
    let up =
        ask(cluster, &format!("up{{component=\"proxy\", namespace=\"{namespace}\", workload=\"app\"}} == 1")).await;
    assert_eq!(up.unwrap().len(), 2, "the pods of a Deployment are found under its name");
    let planes = ask(cluster, "up{component=\"control-plane\"} == 1").await.unwrap();
    assert!(!planes.is_empty(), "the control plane lists itself");
    let webhook = ask(cluster, "up{job=\"weft-webhook\"} == 1").await.unwrap();
    assert_eq!(webhook.len(), 1, "the API server lets Prometheus read what it says of the webhook");
}

async fn install(cluster: &Cluster) {
    let kit = Path::new(FOLDER).join("../../../shared/kind");
    let overlay = if kit.join("debian-image").exists() {
        let script = "set -e; \"$0\"/debian-image \"$1\" prometheus; kind load docker-image --name weft-test \"$1\"";
        let mut command = cluster.command("bash");
        command.args(["-c", script]).arg(&kit).arg(LOCAL_IMAGE);
        crate::harness::Running::start(command, None).await.success().await;
        "overlays/prometheus-local"
    } else {
        "prometheus"
    };
    cluster.kubectl(&["apply", "--kustomize", &format!("{FOLDER}/{overlay}")]).await;
    cluster.mesh(&["rollout", "status", "deployment/weft-prometheus", "--timeout", "180s"]).await;
}

async fn ask(cluster: &Cluster, query: &str) -> anyhow::Result<Vec<Sample>> {
    let path = format!("/api/v1/namespaces/weft/services/weft-prometheus:http/proxy{}", prometheus::path(query));
    let output = cluster.try_kubectl(&["get", "--raw", &path], None).await;
    anyhow::ensure!(output.code == 0, "{}", output.stderr);
    prometheus::read(&output.stdout)
}
