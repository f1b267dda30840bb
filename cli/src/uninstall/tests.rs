//! The survey, against an API server that has Weft and other things.

use std::convert::Infallible;

use hyper::http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use super::survey;
use crate::install::Object;

/// What is listed at a path; the selector has chosen already.
fn list(path: &str, query: &str) -> Option<Value> {
    let ours = query.contains("labelSelector=app.kubernetes.io%2Fpart-of%3Dweft");
    let named = |name: &str| json!([{"metadata": {"name": name}}]);
    Some(match path {
        "/api/v1/pods" => json!([
            {"metadata": {"name": "a", "namespace": "shop", "annotations": {"weft.dev/injected": "true"}}},
            {"metadata": {"name": "b", "namespace": "shop"}}
        ]),
        "/api/v1/configmaps" if query.contains("metadata.name%3Dweft-trust-bundle") => json!([
            {"metadata": {"name": "weft-trust-bundle", "namespace": "shop"}},
            {"metadata": {"name": "weft-trust-bundle", "namespace": "weft"}}
        ]),
        "/api/v1/namespaces" if ours => json!([{"metadata": {"name": "weft"}}, {"metadata": {"name": "weft-extras"}}]),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles" if ours => named("weft-control-plane"),
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings" if ours => named("weft-control-plane"),
        "/apis/rbac.authorization.k8s.io/v1/rolebindings" if ours => json!([
            {"metadata": {"name": "weft-tap", "namespace": "kube-system"}},
            {"metadata": {"name": "weft-control-plane", "namespace": "weft"}}
        ]),
        "/apis/apiregistration.k8s.io/v1/apiservices" if ours => named("v1alpha1.tap.weft.dev"),
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations" if ours => named("weft-injector"),
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions" if ours => {
            json!([
                kind("weft.dev", "inboundpolicies", "v1"),
                kind("gateway.networking.k8s.io", "tcproutes", "v1alpha2")
            ])
        }
        "/apis/weft.dev/v1/inboundpolicies" => named("users"),
        _ => return None,
    })
}

/// A definition with a version that is no longer served, as the Gateway API has them.
fn kind(group: &str, plural: &str, version: &str) -> Value {
    let versions = json!([
        {"name": "v0", "served": false, "storage": false},
        {"name": version, "served": true, "storage": true}
    ]);
    json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "names": {"kind": plural, "plural": plural}, "scope": "Namespaced", "versions": versions}
    })
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (code, body) = match list(request.uri().path(), request.uri().query().unwrap_or_default()) {
        Some(items) => (
            200,
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items}),
        ),
        None => (404, json!({"kind": "Status", "status": "Failure", "code": 404, "message": "there is no such kind"})),
    };
    Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
}

#[tokio::test]
async fn all_of_weft_is_found_and_nothing_else() {
    let found = survey::of(&Client::new(service_fn(answer), "default")).await.unwrap();
    let names =
        |objects: &[Object]| objects.iter().map(|one| format!("{} {}", one.kind(), one.name())).collect::<Vec<_>>();
    assert_eq!(found.meshed, ["shop/a"]);
    assert_eq!(names(&found.namespace), ["Namespace weft"]);
    let rights = [
        "MutatingWebhookConfiguration weft-injector",
        "APIService v1alpha1.tap.weft.dev",
        "RoleBinding weft-tap",
        "ClusterRoleBinding weft-control-plane",
        "ClusterRole weft-control-plane",
    ];
    assert_eq!(names(&found.rights), rights);
    assert_eq!(found.bundles.iter().map(Object::namespace).collect::<Vec<_>>(), [Some("shop")]);
    let kinds: Vec<_> = found.kinds.iter().map(|kind| (kind.definition.name(), kind.objects)).collect();
    assert_eq!(kinds, [("inboundpolicies.weft.dev", 1), ("tcproutes.gateway.networking.k8s.io", 0)]);
}
