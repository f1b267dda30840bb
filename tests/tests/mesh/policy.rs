//! Who may call whom, and routes.

use std::time::Duration;

use crate::harness::{eventually, header, mesh, seen};

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1\nkind: InboundPolicy\nmetadata: {{ name: strict, namespace: test }}\nspec:\n  \
         podSelector: {{ matchLabels: {{ app: app }} }}\n{spec}"
    )
}

#[tokio::test]
async fn plaintext_is_refused_where_mtls_is_demanded() {
    let mesh = mesh(1, "").await;
    let open = mesh.get("outside", "app:8080", &["/"]).await;
    assert_eq!(open["status"], 200, "permissive by default: {open}");
    assert!(header(&seen(&open)["headers"], "weft-client-identity").is_empty());
    mesh.sandbox.apply(&policy("  mode: mtls\n")).await.unwrap();
    let refused = || async {
        let answer = mesh.get("outside", "app:8080", &["/"]).await;
        answer["status"] == 403 && header(&answer["headers"], "weft-proxy-error") == ["mtls-required"]
    };
    eventually(Duration::from_secs(10), "403 for plaintext", refused).await;
    let bytes = mesh.try_run("outside", &["bytes", "app:9000", "\u{1}x"]).await;
    assert!(bytes.code != 0 || !bytes.stdout.contains("\\u0001x"), "bytes came through: {}", bytes.stdout);
    let meshed = mesh.get("client", "app:8080", &["/"]).await;
    assert_eq!(meshed["status"], 200, "{meshed}");
}

#[tokio::test]
async fn only_the_clients_that_a_policy_names_may_call() {
    let other = "apiVersion: v1\nkind: Pod\nmetadata: { name: other, namespace: test, labels: { weft.dev/inject: enabled } }\n\
                 spec:\n  serviceAccountName: other\n  containers:\n  - { name: c, image: none, command: [\"sleep\", \"1000000\"] }\n";
    let mesh = mesh(1, other).await;
    let spec = "  allowedClients: [test/client]\n";
    mesh.sandbox.apply(&policy(spec)).await.unwrap();
    let denied = || async {
        let answer = mesh.get("other", "app:8080", &["/"]).await;
        answer["status"] == 403 && header(&answer["headers"], "weft-proxy-error") == ["denied"]
    };
    eventually(Duration::from_secs(10), "403 for another identity", denied).await;
    assert_eq!(mesh.get("client", "app:8080", &["/"]).await["status"], 200);
    let bytes = mesh.try_run("other", &["bytes", "app:9000", "\u{1}x"]).await;
    assert!(bytes.code != 0 || !bytes.stdout.contains("\\u0001x"), "bytes came through: {}", bytes.stdout);
}

#[tokio::test]
async fn a_connection_ends_when_policy_no_longer_allows_it() {
    let mesh = mesh(1, "").await;
    let held = mesh.start("client", &["hold", "app:9000", "--seconds", "8"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    mesh.sandbox.apply(&policy("  allowedClients: [other/nobody]\n")).await.unwrap();
    let output = held.output().await.unwrap();
    assert_ne!(output.code, 0, "the connection outlived its permission: {}", output.stdout);
}

#[tokio::test]
async fn a_route_matches_splits_and_retries() {
    let route = r#"apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: app, namespace: test }
spec:
  parentRefs: [{ group: "", kind: Service, name: app, port: 8080 }]
  rules:
  - matches: [{ path: { type: PathPrefix, value: /slow } }]
    timeouts: { request: 300ms }
    backendRefs: [{ name: app, port: 8080 }]
  - matches: [{ path: { type: PathPrefix, value: / } }]
    backendRefs: [{ name: app, port: 8080 }]
"#;
    let mesh = mesh(1, "").await;
    mesh.sandbox.apply(route).await.unwrap();
    let timed_out = || async {
        let answer = mesh.get("client", "app:8080", &["/slow/2000"]).await;
        answer["status"] == 504 && header(&answer["headers"], "weft-proxy-error") == ["request-timeout"]
    };
    eventually(Duration::from_secs(10), "504 by the route's limit", timed_out).await;
    assert_eq!(mesh.get("client", "app:8080", &["/slow/10"]).await["status"], 200);
    assert_eq!(mesh.get("client", "app:8080", &["/else"]).await["status"], 200);
}
