//! Each page, from loopback and from elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tracing_subscriber::filter::Targets;

use super::*;
use crate::config::LogFormat;

/// An admin port, and what must stay alive for its log level to mean something.
fn admin() -> (Admin, impl Sized) {
    let (layer, log) = LogControl::layer(Targets::new(), LogFormat::Text);
    let admin = Admin {
        metrics: Metrics::new(10),
        readiness: Readiness::default(),
        log,
        probes: Probes::new(&probes(), &[Ipv4Addr::LOCALHOST.into()]),
        beliefs: Box::new(|| serde_json::json!({ "endpoints": 3 })),
        shutdown: Shutdown::new(Duration::from_secs(1)),
    };
    (admin, layer)
}

/// One probe, of an app that is not there.
fn probes() -> weft_api::probe::Probes {
    // Port 1 is nobody's.
    serde_json::from_str(r#"{"app":{"liveness":{"tcpSocket":{"port":1}}}}"#).unwrap()
}

async fn ask(admin: &Admin, on_loopback: bool, method: Method, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let answer = answer::answer(admin, on_loopback, request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_not_ready_says_why() {
    let (admin, _log) = admin();
    let identity = admin.readiness.condition("identity", "no certificate yet");
    let (status, body) = ask(&admin, false, Method::GET, "/ready", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("no certificate yet"), "{body}");
    identity.ready();
    assert_eq!(ask(&admin, false, Method::GET, "/ready", "").await.0, StatusCode::OK);
    identity.not_ready("the certificate has expired");
    assert_eq!(ask(&admin, false, Method::GET, "/ready", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_old_picture_is_told_and_does_not_make_it_unready() {
    let (admin, _log) = admin();
    let metrics = Arc::clone(&admin.metrics);
    admin.metrics.before_scrape(move || metrics.set_discovery_age(Duration::from_secs(7200)));
    let (status, body) = ask(&admin, false, Method::GET, "/ready", "").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["discovery_age_seconds"]), (StatusCode::OK, &serde_json::json!(7200.0)));
}

#[tokio::test]
async fn control_is_for_loopback_only() {
    let (admin, _log) = admin();
    for (method, path) in [
        (Method::GET, "/config"),
        (Method::GET, "/log-level"),
        (Method::PUT, "/log-level"),
        (Method::POST, "/drain"),
        (Method::POST, "/shutdown"),
    ] {
        let (status, body) = ask(&admin, false, method, path, "info").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(body.contains("127.0.0.1"), "{body}");
    }
    assert!(!admin.shutdown.handle().is_draining());
}

#[tokio::test]
async fn a_drain_makes_it_unready_and_a_shutdown_ends_it() {
    let (admin, _log) = admin();
    assert_eq!(ask(&admin, true, Method::POST, "/drain", "").await.0, StatusCode::OK);
    assert_eq!(ask(&admin, true, Method::GET, "/ready", "").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&admin, true, Method::POST, "/shutdown", "").await.0, StatusCode::OK);
    assert_eq!(admin.shutdown.run().await, crate::shutdown::Ending::Drained);
}

#[tokio::test]
async fn the_log_level_can_be_changed_and_a_wrong_one_is_explained() {
    let (admin, _log) = admin();
    let (status, body) = ask(&admin, true, Method::PUT, "/log-level", "info,weft_proxy::mesh=debug\n").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(ask(&admin, true, Method::GET, "/log-level", "").await.1.contains("weft_proxy::mesh=debug"));
    let (status, body) = ask(&admin, true, Method::PUT, "/log-level", "weft_proxy=loud").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("weft_proxy=loud is no level"), "{body}");
    let long = "x".repeat(5000);
    assert_eq!(ask(&admin, true, Method::PUT, "/log-level", &long).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn only_a_probe_that_is_defined_can_be_asked_for() {
    let (admin, _log) = admin();
    let (status, body) = ask(&admin, false, Method::GET, "/probe/app/liveness", "").await;
    assert_eq!(
        (status, body.as_str()),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the app does not accept a connection on port 1: Connection refused (os error 111)\n"
        )
    );
    for other in ["/probe/app/readiness", "/probe/other/liveness", "/probe/app", "/probe/", "/probe/app/liveness/"] {
        assert_eq!(ask(&admin, false, Method::GET, other, "").await.0, StatusCode::NOT_FOUND, "{other}");
    }
    assert_eq!(ask(&admin, false, Method::POST, "/probe/app/liveness", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn unknown_pages_and_wrong_methods_say_what_there_is() {
    let (admin, _log) = admin();
    assert_eq!(ask(&admin, true, Method::GET, "/nothing", "").await.0, StatusCode::NOT_FOUND);
    let (status, body) = ask(&admin, true, Method::GET, "/drain", "").await;
    assert_eq!((status, body.as_str()), (StatusCode::METHOD_NOT_ALLOWED, "/drain takes POST\n"));
    assert!(ask(&admin, true, Method::GET, "/config", "").await.1.contains("endpoints"));
}

#[tokio::test]
async fn metrics_are_served_over_both_families() {
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let listeners = bind(&addresses, 0).unwrap();
    let reached: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let (admin, _log) = admin();
    let shutdown = admin.shutdown.clone();
    start(admin, listeners);
    for address in reached {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("weft_build_info"), "{answer}");
    }
    shutdown.leave();
    shutdown.run().await;
}

#[tokio::test]
async fn a_client_that_fills_the_port_leaves_room_for_the_kubelet() {
    let listeners = bind(&[Ipv4Addr::UNSPECIFIED.into()], 0).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listeners[0].local_addr().unwrap().port()));
    let (admin, _log) = admin();
    let shutdown = admin.shutdown.clone();
    start(admin, listeners);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let kubelet = tokio::net::TcpSocket::new_v4().unwrap();
    kubelet.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut kubelet = kubelet.connect(address).await.unwrap();
    kubelet.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    kubelet.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    shutdown.leave();
    shutdown.run().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = bind(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap();
    let port = first[0].local_addr().unwrap().port();
    let error = bind(&[Ipv4Addr::LOCALHOST.into()], port).unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}
