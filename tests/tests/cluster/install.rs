//! Weft as it is installed, checked, and taken away again.

use std::time::Duration;

use crate::harness::{Cluster, Namespace, alone, app, client, eventually, shared};

#[tokio::test]
async fn what_was_installed_passes_its_own_check() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "checked").await;
    shop.apply(&app("app", 1)).await;
    shop.rolled_out("app").await;
    cluster.weft(&["check", "--pre"]).await;
    let printed = cluster.weft(&["check", "--namespace", &shop.name, "--wait", "60s", "--output", "json"]).await.stdout;
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(report.to_string().len() > 100, "it checks nothing: {report}");
}

#[tokio::test]
async fn uninstalling_leaves_nothing_behind_and_installing_again_works() {
    let (cluster, _turn) = alone().await;
    // Pods of tests that are over may still be ending, meshed.
    let objects = cluster.weft(&["uninstall", "--force", "--delete-gateway-api"]).await.stdout;
    cluster.start_kubectl(&["delete", "--filename", "-"], Some(&objects)).await.success().await;
    let nothing = async || left_behind(cluster).await.is_empty();
    eventually(Duration::from_secs(60), "nothing of Weft is left", nothing).await;

    cluster.install().await;
    let shop = Namespace::meshed(cluster, "again").await;
    shop.apply(&(app("app", 1) + &client("client"))).await;
    shop.rolled_out("app").await;
    shop.pod_ready("client").await;
    shop.get("client", "app:8080", &["/", "--fail"]).await;
}

/// Every object that has Weft's label or one of its names.
async fn left_behind(cluster: &Cluster) -> String {
    let kinds = "namespaces,clusterroles,clusterrolebindings,rolebindings,mutatingwebhookconfigurations,apiservices,\
                 customresourcedefinitions";
    let labelled =
        ["get", kinds, "--selector", "app.kubernetes.io/part-of=weft", "--all-namespaces", "--output", "name"];
    let bundles = ["get", "configmaps", "--all-namespaces", "--field-selector", "metadata.name=weft-trust-bundle"];
    let bundles = [&bundles[..], &["--output", "name"]].concat();
    cluster.kubectl(&labelled).await + &cluster.kubectl(&bundles).await
}
