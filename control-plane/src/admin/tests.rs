use std::time::Duration;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tower::ServiceExt;
use weft_certs::SpiffeId;

use super::*;
use crate::{
    fixture::{SHOP, mesh, objects},
    identity::AuthoritySettings,
    registry::{Event, Place},
    serve::HubSettings,
};

fn admin(condition: Condition) -> (TempDir, Admin) {
    let folder = TempDir::new().unwrap();
    let identity = SpiffeId::control_plane("cluster.local", "weft").unwrap();
    let (leaf_lifetime, issuer_lifetime) = (Duration::from_secs(60), Duration::from_secs(3600));
    let settings = AuthoritySettings { identity, leaf_lifetime, issuer_lifetime };
    let authority = Arc::new(Authority::in_folder(settings, folder.path()).unwrap());
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.condition(&condition);
    let hub = HubSettings { mesh: mesh(), trust: authority.trust().borrow().clone(), max_subscriptions: 1 };
    let hub = Hub::new(hub, metrics.clone());
    let (_, condition) = watch::channel(Arc::new(condition));
    (folder, Admin { hub, authority, metrics, condition, injector: None })
}

async fn ask(admin: &Admin, method: &str, path: &str, client: &str) -> (u16, String) {
    let client: SocketAddr = client.parse().unwrap();
    let request =
        Request::builder().method(method).uri(path).extension(ConnectInfo(client)).body(Body::empty()).unwrap();
    let response = admin.clone().router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

const NEAR: &str = "127.0.0.1:5000";
const FAR: &str = "10.1.0.1:5000";

#[tokio::test]
async fn it_is_ready_once_the_registry_has_been_read_and_names_broken_files() {
    let complaint = Complaint { place: Place::File { file: "/r/a.yaml".into(), line: 7 }, message: "is broken".into() };
    let (_folder, admin) = admin(Condition { broken: vec![complaint], warnings: Vec::new() });
    assert_eq!(ask(&admin, "GET", "/ready", FAR).await.0, 503);
    admin.hub.change(vec![Event::Reset(Vec::new())]);
    let (status, body) = ask(&admin, "GET", "/ready", FAR).await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""broken":[{"file":"/r/a.yaml","line":7,"message":"is broken"}]"#), "{body}");
    let (_, metrics) = ask(&admin, "GET", "/metrics", FAR).await;
    assert!(metrics.contains(r#"weft_registry_problems{place="/r/a.yaml:7",severity="broken"} 1"#), "{metrics}");
}

#[tokio::test]
async fn what_it_believes_is_shown_on_loopback_only() {
    let (_folder, admin) = admin(Condition::default());
    admin.hub.change(vec![Event::Reset(objects(SHOP))]);
    assert_eq!(ask(&admin, "GET", "/snapshot", FAR).await.0, 403);
    let (status, body) = ask(&admin, "GET", "/snapshot", NEAR).await;
    assert_eq!(status, 200);
    assert!(body.contains("spiffe://cluster.local/ns/shop/sa/users"), "{body}");
}

#[tokio::test]
async fn the_issuer_is_replaced_on_loopback_only() {
    let (_folder, admin) = admin(Condition::default());
    let before = admin.authority.issuer_id();
    assert_eq!(ask(&admin, "POST", "/rotate-issuer", FAR).await.0, 403);
    assert_eq!(ask(&admin, "GET", "/rotate-issuer", NEAR).await.0, 405);
    assert_eq!(admin.authority.issuer_id(), before);
    assert_eq!(ask(&admin, "POST", "/rotate-issuer", "[::ffff:127.0.0.1]:5000").await.0, 200);
    assert_ne!(admin.authority.issuer_id(), before);
}

#[tokio::test]
async fn prometheus_is_told_what_to_scrape_wherever_it_asks_from() {
    let (_folder, admin) = admin(Condition::default());
    admin.hub.change(vec![Event::Reset(objects(SHOP))]);
    let (status, body) = ask(&admin, "GET", "/targets", FAR).await;
    assert_eq!(status, 200);
    let targets: serde_json::Value = serde_json::from_str(&body).unwrap();
    let found: Vec<_> = targets.as_array().unwrap().iter().map(|one| &one["targets"]).collect();
    assert_eq!(found, [&serde_json::json!(["10.1.0.9:4191"]), &serde_json::json!(["10.1.0.1:4191"])]);
}
