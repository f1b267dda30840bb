//! Tokens that prove nothing: refused, counted, and named in the log by everything but the token.

use std::time::Duration;

use crate::harness::{Namespace, eventually, shared};

/// A proxy that nobody injected, with a token of the test's choice where its own would be.
fn thief(name: &str, token: &str) -> String {
    let field = |variable: &str, path: &str| {
        format!("{{ name: {variable}, valueFrom: {{ fieldRef: {{ fieldPath: {path} }} }} }}")
    };
    format!(
        r#"---
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ weft.dev/inject: disabled }} }}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: proxy
    image: weft/proxy:{version}
    env:
    - {namespace}
    - {pod}
    - {addresses}
    - {{ name: WEFT_CONTROL_PLANE_ADDRESS, value: "weft-control-plane.weft.svc:8443" }}
    - {{ name: WEFT_TRUST_BUNDLE_FILE, value: /bundle/ca.pem }}
    - {{ name: WEFT_SERVICE_ACCOUNT_TOKEN_FILE, value: /token/token }}
    volumeMounts: [{{ name: bundle, mountPath: /bundle }}, {{ name: token, mountPath: /token }}]
  volumes:
  - {{ name: bundle, configMap: {{ name: weft-trust-bundle }} }}
  - {{ name: token, {token} }}
"#,
        version = env!("CARGO_PKG_VERSION"),
        namespace = field("WEFT_POD_NAMESPACE", "metadata.namespace"),
        pod = field("WEFT_POD_NAME", "metadata.name"),
        addresses = field("WEFT_POD_ADDRESSES", "status.podIPs"),
    )
}

/// A token of this namespace's default account for the mesh, bound to a pod.
async fn token_of(shop: &Namespace, pod: &str) -> String {
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
    shop.kubectl(&[&["create", "token", "default", "--audience", "weft"], &bound[..]].concat()).await.trim().to_owned()
}

/// A Secret with a token, and where to mount it from.
async fn kept(shop: &Namespace, name: &str, token: &str) -> String {
    shop.kubectl(&["create", "secret", "generic", name, &format!("--from-literal=token={token}")]).await;
    format!("secret: {{ secretName: {name} }}")
}

/// The same token, signed anew by the cluster's own key, with a life that is long over.
async fn expired(shop: &Namespace, token: &str) -> String {
    let script = r#"set -e
part() { cut -d. -f"$1" <<<"$token"; }
url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
claims=$(part 2 | tr -- '-_' '+/')
while ((${#claims} % 4)); do claims+==; done
old=$(base64 -d <<<"$claims" | sed -E 's/"exp":[0-9]+/"exp":1700003600/; s/"(iat|nbf)":[0-9]+/"\1":1700000000/g')
text=$(part 1).$(printf %s "$old" | url)
printf '%s.%s' "$text" "$(printf %s "$text" | openssl dgst -sha256 -binary -sign /etc/kubernetes/pki/sa.key | url)""#;
    let node = shop.cluster.control_plane_node().await;
    shop.cluster.on_node(&node, &["bash", "-c", &format!("token={token}\n{script}")]).await
}

/// How often the control plane has refused for a reason.
async fn refused(shop: &Namespace, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    shop.cluster.control_plane_metric("weft_control_certificates_refused_total", &[&label]).await
}

async fn assert_refused(shop: &Namespace, (name, source): (&str, &str), (reason, words): (&str, &str), token: &str) {
    let before = refused(shop, reason).await;
    shop.apply(&thief(name, source)).await;
    let running = ["wait", "--for", "jsonpath={.status.phase}=Running", "--timeout", "120s"];
    shop.kubectl(&[&running[..], &[&format!("pod/{name}")]].concat()).await;
    let counted = async || refused(shop, reason).await > before;
    eventually(Duration::from_secs(60), &format!("{name}: refused for {reason}"), counted).await;
    let log = shop.cluster.mesh(&["logs", "deployment/weft-control-plane", "--since", "2m"]).await;
    assert!(log.contains(words), "{name}: the log does not say {words:?}");
    let own = shop.kubectl(&["logs", name]).await;
    let secret = token.rsplit('.').next().unwrap();
    assert!(secret.is_empty() || !(log.contains(secret) || own.contains(secret)), "{name}: the token is in a log");
    assert_eq!(shop.metric(name, "weft_certificate_expiry_timestamp_seconds", &[]).await, 0.0, "{name} has a leaf");
}

#[tokio::test]
async fn a_token_that_is_not_this_pod_s_for_the_mesh_now_gets_no_certificate() {
    let (cluster, _turn) = shared().await;
    let shop = Namespace::meshed(cluster, "tokens").await;
    shop.kubectl(&["wait", "--for", "create", "configmap/weft-trust-bundle", "--timeout", "60s"]).await;

    let other = "projected: { sources: [{ serviceAccountToken: { audience: other, path: token } }] }";
    assert_refused(&shop, ("audience", other), ("token_audience", "audience"), "").await;

    let stolen = token_of(&shop, "audience").await;
    let source = kept(&shop, "stolen", &stolen).await;
    assert_refused(&shop, ("stolen", &source), ("other_address", "not an address of it"), &stolen).await;

    let old = expired(&shop, &stolen).await;
    let source = kept(&shop, "expired", &old).await;
    assert_refused(&shop, ("expired", &source), ("token_expired", "expired"), &old).await;
}
