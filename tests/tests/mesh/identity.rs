//! An address that has gone to another pod, as discovery does not know yet: nobody else is believed there.

use std::time::Duration;

use weft_sandbox::Pod;

use crate::harness::{Mesh, assert_nothing_lost, eventually, header, mesh, seen};

/// Makes the control plane name an identity for a pod that is not the one that its proxy proves.
async fn misname(mesh: &Mesh, pod: &Pod) {
    rename(mesh, pod, "app", "former").await;
    let named = || async { mesh.snapshot().await.contains("sa/former") };
    eventually(Duration::from_secs(10), "the control plane names the former owner", named).await;
}

async fn rename(mesh: &Mesh, pod: &Pod, from: &str, to: &str) {
    let manifest = mesh.manifest_of(pod);
    let text = std::fs::read_to_string(&manifest).unwrap();
    let account = |name: &str| format!("serviceAccountName: {name}\n");
    assert!(text.contains(&account(from)), "{text}");
    // In one step, as the control plane watches; hidden until then.
    let draft = manifest.with_file_name(".draft");
    std::fs::write(&draft, text.replace(&account(from), &account(to))).unwrap();
    std::fs::rename(&draft, &manifest).unwrap();
}

/// Whether the client's proxy has said whom it expected and who answered.
async fn has_told_both(mesh: &Mesh) -> bool {
    let log = mesh.log(&mesh.pod("client").await);
    let identity = |account: &str| format!("spiffe://cluster.local/ns/test/sa/{account}");
    let told = |line: &str| {
        line.contains("another identity") && line.contains(&identity("former")) && line.contains(&identity("app"))
    };
    log.lines().any(told)
}

#[tokio::test]
async fn a_wrong_identity_is_refused_and_the_request_fails_with_that_reason() {
    let mesh = mesh(1, "").await;
    let pod = mesh.replicas().await.remove(0);
    misname(&mesh, &pod).await;
    for more in [&["/"][..], &["/", "--http2"]] {
        let post = ["--method", "POST", "--body", "x", "--header", "x-id=for-the-former"];
        let answer = mesh.get("client", "app:8080", &[more, &post].concat()).await;
        assert_eq!(
            (&answer["status"], header(&answer["headers"], "weft-proxy-error")),
            (&503.into(), vec!["wrong-identity"])
        );
    }
    let bytes = mesh.try_run("client", &["bytes", "app:9000", "\u{1}x"]).await;
    assert_ne!(bytes.code, 0, "bytes came through: {}", bytes.stdout);
    assert!(mesh.deliveries().is_empty(), "delivered to somebody else: {:?}", mesh.deliveries());
    assert!(has_told_both(&mesh).await, "{}", mesh.log(&mesh.pod("client").await));
    let failed = ["direction=\"outbound\"", "reason=\"wrong-identity\""];
    assert_eq!(mesh.metric(&mesh.pod("client").await, "weft_proxy_errors_total", &failed).await, 3.0);

    rename(&mesh, &pod, "former", "app").await;
    let reached = || async { mesh.get("client", "app:8080", &["/"]).await["status"] == 200 };
    eventually(Duration::from_secs(10), "the pod is believed again", reached).await;
}

#[tokio::test]
async fn a_wrong_identity_costs_no_request_while_another_endpoint_is_there() {
    let mesh = mesh(2, "").await;
    let gone = mesh.replicas().await.remove(0);
    misname(&mesh, &gone).await;
    let report = mesh.run("client", &["load", "app:8080", "--seconds", "4"]).await;
    assert_nothing_lost(&mesh, &report, false);
    assert!(has_told_both(&mesh).await, "{}", mesh.log(&mesh.pod("client").await));
    let client = mesh.pod("client").await;
    assert!(mesh.metric(&client, "weft_retries_total", &["service=\"app\"", "outcome=\"done\""]).await >= 1.0);
    let answer = mesh.get("client", "app:8080", &["/"]).await;
    assert_ne!(seen(&answer)["pod"], *gone.name, "{answer}");
}
