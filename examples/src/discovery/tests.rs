//! Leases by the clock, and the whole of discovery over loopback.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::Method;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::register::keep_reporting;
use super::*;
use crate::client::{Client, Failure};
use crate::fake::service;
use crate::trace::TraceContext;

const LEASE: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_renewed_runs_out() {
    let begun = Instant::now();
    let mut leases = Leases::new(begun);
    assert!(leases.renew("catalog", "10.0.0.1:80", LEASE, begun));
    assert!(leases.renew("catalog", "10.0.0.2:80", LEASE, begun));
    let version = leases.version();
    assert!(leases.renew("catalog", "10.0.0.2:80", LEASE, begun + LEASE / 2));
    assert_eq!(leases.version(), version, "a renewal is no news");
    assert_eq!(leases.next_end(), Some(begun + LEASE));
    leases.expire(begun + LEASE);
    let left = leases.of("catalog", begun + LEASE);
    assert_eq!(left.addresses, ["10.0.0.2:80"]);
    assert_ne!(left.version, version);
    leases.end("catalog", "10.0.0.2:80");
    assert_eq!(leases.next_end(), None);
}

#[tokio::test(start_paused = true)]
async fn a_registry_says_when_it_may_not_know_all_yet() {
    let begun = Instant::now();
    let leases = Leases::new(begun);
    assert!(!leases.of("catalog", begun + Duration::from_secs(9)).complete);
    assert!(leases.of("catalog", begun + Duration::from_secs(10)).complete);
}

async fn registry() -> (Client, tokio::task::JoinSet<()>) {
    let registry = Registry::new(CancellationToken::new());
    let (client, mut tasks) = service(router(registry.clone())).await;
    tasks.spawn(registry.expire());
    (client, tasks)
}

async fn report(registry: &Client, method: Method, address: &str) -> Result<(), Failure> {
    let request = registry.request(method, &format!("/services/catalog/{address}")).unwrap();
    registry.done(request.json(&json!({ "lease_ms": 10_000 })), &TraceContext::default()).await
}

/// An instance that answers with its name.
async fn instance(name: &'static str) -> (String, tokio::task::JoinSet<()>) {
    let say = async move || Json(json!(name));
    let (client, task) = service(Router::new().route("/name", get(say)).route("/health", get(say))).await;
    let url = client.request(Method::GET, "/").unwrap().build().unwrap().url().clone();
    (format!("127.0.0.1:{}", url.port().unwrap()), task)
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 30 s: {what}");
}

#[tokio::test]
async fn a_client_takes_turns_among_those_who_report_and_hears_of_the_end() {
    let (registry, _tasks) = registry().await;
    let ((first, _first), (second, _second)) = (instance("first").await, instance("second").await);
    let client = watched(registry.clone(), "catalog");
    let failure = client.get::<Value>("/name", &TraceContext::default()).await.unwrap_err();
    assert!(matches!(failure, Failure::Nobody { .. }), "{failure:?}");
    let answers = async || {
        let mut names = HashSet::new();
        for _ in 0..4 {
            let name = client.get::<String>("/name", &TraceContext::default()).await;
            names.insert(name.unwrap_or_default());
        }
        names
    };
    let reports = async {
        tokio::join!(keep_reporting(&registry, "catalog", &first), keep_reporting(&registry, "catalog", &second))
    };
    let both = HashSet::from(["first".to_owned(), "second".to_owned()]);
    tokio::select! {
        _ = reports => {}
        () = eventually("both answer", async || answers().await == both) => {}
    }
    report(&registry, Method::DELETE, &second).await.unwrap();
    // A registry of less than ten seconds asks its clients to keep whom they know, so the list itself is looked at.
    let list: Instances = registry.get("/services/catalog", &TraceContext::default()).await.unwrap();
    assert_eq!(list.addresses, [first]);
}

#[tokio::test]
async fn a_watch_is_answered_when_something_changes() {
    let (registry, _tasks) = registry().await;
    let none: Instances = registry.get("/services/catalog", &TraceContext::default()).await.unwrap();
    let path = format!("/services/catalog?known={}", none.version);
    let trace = TraceContext::default();
    let (seen, told) = tokio::join!(registry.get::<Instances>(&path, &trace), async {
        sleep(Duration::from_millis(50)).await;
        report(&registry, Method::PUT, "10.0.0.1:80").await
    });
    told.unwrap();
    assert_eq!(seen.unwrap().addresses, ["10.0.0.1:80"]);
}

#[tokio::test]
async fn a_report_that_is_not_valid_is_refused() {
    let (registry, _tasks) = registry().await;
    let failure = report(&registry, Method::PUT, "nowhere").await.unwrap_err();
    assert!(failure.to_string().ends_with("422: address must be such as 10.0.0.7:8080"), "{failure}");
    let body = json!({ "lease_ms": 0 });
    let request = registry.request(Method::PUT, "/services/catalog/10.0.0.1:80").unwrap().json(&body);
    assert!(registry.done(request, &TraceContext::default()).await.is_err());
}
