//! `weft tap`: through the API server, which names the user; by the control plane, which asks whether the user may.

use serde_json::Value;

use crate::harness::{Cluster, Namespace, Output, Running, app, client, shared};

/// What is asked for: as many requests as the test has to see.
const WANTED: [&str; 8] = ["--path", "/tapped", "--method", "PUT", "--max", "3", "--output", "json"];

#[tokio::test]
async fn whoever_may_sees_who_called_whom_and_nobody_else_does() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "tapped").await;
    shop.apply(&(app("app", 1) + &client("client"))).await;
    shop.rolled_out("app").await;
    shop.pod_ready("client").await;
    let available = ["wait", "--for", "condition=Available", "apiservice/v1alpha1.tap.weft.dev", "--timeout", "120s"];
    cluster.kubectl(&available).await;

    let requests = requests(&while_called(&shop, tap(cluster, &shop, &[]).await).await);
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!((&request["path"], &request["method"]), (&Value::from("/tapped"), &Value::from("PUT")), "{request}");
        assert_eq!(
            (&request["status"], &request["direction"]),
            (&Value::from(200), &Value::from("inbound")),
            "{request}"
        );
        assert_eq!(request["from"]["pod"], format!("{}/client", shop.name), "{request}");
        assert_eq!(request["to"]["workload"], "app", "{request}");
        let identity = |account| format!("spiffe://cluster.local/ns/{}/sa/{account}", shop.name);
        assert_eq!(
            (&request["from"]["identity"], &request["to"]["identity"]),
            (&identity("client").into(), &identity("app").into())
        );
    }

    let stranger = kubeconfig_of(cluster, "jane").await;
    let as_stranger = ["--kubeconfig", stranger.path().to_str().unwrap()];
    let refused = tap(cluster, &shop, &as_stranger).await.output().await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("jane") && refused.stderr.contains("ClusterRole weft-tap"), "{refused:?}");
    shop.kubectl(&["create", "rolebinding", "jane-taps", "--clusterrole", "weft-tap", "--user", "jane"]).await;
    assert_eq!(while_called(&shop, tap(cluster, &shop, &as_stranger).await).await.code, 0);
}

/// A tap of the app.
async fn tap(cluster: &Cluster, shop: &Namespace, more: &[&str]) -> Running {
    let words = ["tap", "deployment/app", "--namespace", &shop.name];
    cluster.start_weft(&[&words[..], &WANTED, more].concat()).await
}

/// Calls the app until the tap has ended.
async fn while_called(shop: &Namespace, tap: Running) -> Output {
    let calls = async {
        loop {
            shop.get("client", "app:8080", &["/tapped?token=secret", "--method", "PUT", "--body", "x"]).await;
            shop.get("client", "app:8080", &["/other"]).await;
        }
    };
    let output = tokio::select! {
        output = tap.output() => output,
        () = calls => unreachable!("it calls for ever"),
    };
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!output.stdout.contains("secret"), "{output:?}");
    output
}

fn requests(output: &Output) -> Vec<Value> {
    let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line.get("request").cloned()).collect()
}

/// The cluster's own kubeconfig, but for whom it acts.
async fn kubeconfig_of(cluster: &Cluster, user: &str) -> tempfile::NamedTempFile {
    let config = cluster.kubectl(&["config", "view", "--raw", "--flatten", "--output", "json"]).await;
    let mut config: Value = serde_json::from_str(&config).unwrap();
    for entry in config["users"].as_array_mut().unwrap() {
        entry["user"]["as"] = user.into();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    file
}
