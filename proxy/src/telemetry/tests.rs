//! The families as a whole: names, labels, the cap, the page.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::advance;

use super::{metrics::FAMILIES, *};
use crate::error::Reason;

const HTTP: HttpLabels<'static> = HttpLabels {
    direction: Direction::Inbound,
    namespace: "shop",
    service: "users",
    route: "all",
    protocol: Protocol::Http1,
    mtls: true,
    peer: Some("spiffe://cluster.local/ns/shop/sa/orders"),
};
const TCP: TcpLabels<'static> =
    TcpLabels { direction: Direction::Outbound, namespace: "shop", service: "db", mtls: false };

#[test]
fn a_request_is_counted_with_the_labels_that_dashboards_count_on() {
    let metrics = Metrics::new(10);
    let series = metrics.http(HTTP);
    series.record(204, None, Duration::from_millis(3));
    series.record(200, Some(14), Duration::from_millis(3));
    metrics.http(HttpLabels { direction: Direction::Outbound, ..HTTP }).record(0, None, Duration::ZERO);
    let text = metrics.scrape().unwrap();
    for line in [
        r#"weft_http_requests_total{client_identity="spiffe://cluster.local/ns/shop/sa/orders",direction="inbound",grpc_status="",mtls="true",namespace="shop",route="all",server_identity="",service="users",status_class="2xx"} 1"#,
        r#"weft_http_requests_total{client_identity="spiffe://cluster.local/ns/shop/sa/orders",direction="inbound",grpc_status="14",mtls="true",namespace="shop",route="all",server_identity="",service="users",status_class="2xx"} 1"#,
        r#"weft_http_requests_total{client_identity="",direction="outbound",grpc_status="",mtls="true",namespace="shop",route="all",server_identity="spiffe://cluster.local/ns/shop/sa/orders",service="users",status_class="none"} 1"#,
        r#"weft_http_request_duration_seconds_bucket{direction="inbound",mtls="true",namespace="shop",protocol="http1",route="all",service="users",le="0.0025"} 0"#,
        r#"weft_http_request_duration_seconds_count{direction="inbound",mtls="true",namespace="shop",protocol="http1",route="all",service="users"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn strange_statuses_are_counted_too() {
    let metrics = Metrics::new(10);
    let series = metrics.http(HTTP);
    series.record(999, Some(200), Duration::ZERO);
    let text = metrics.scrape().unwrap();
    assert!(text.contains(r#"grpc_status="other""#) && text.contains(r#"status_class="none""#), "{text}");
}

#[test]
fn a_connection_is_open_until_its_guard_is_dropped() {
    let metrics = Metrics::new(10);
    let connection = metrics.tcp(TCP).opened();
    connection.received(5);
    connection.sent(7);
    let labels = r#"direction="outbound",mtls="false",namespace="shop",service="db""#;
    assert!(metrics.scrape().unwrap().contains(&format!("weft_tcp_open_connections{{{labels}}} 1")));
    drop(connection);
    let text = metrics.scrape().unwrap();
    assert!(text.contains(&format!("weft_tcp_open_connections{{{labels}}} 0")));
    assert!(text.contains(&format!("weft_tcp_connections_total{{{labels}}} 1")));
    assert!(text.contains(&format!("weft_tcp_closed_connections_total{{{labels}}} 1")));
    assert!(text.contains(
        r#"weft_tcp_bytes_total{direction="outbound",flow="sent",mtls="false",namespace="shop",service="db"} 7"#
    ));
}

#[test]
fn series_beyond_the_cap_are_counted_together() {
    let metrics = Metrics::new(2);
    for route in ["a", "b", "c", "d"] {
        metrics.http(HttpLabels { route, ..HTTP }).record(200, None, Duration::ZERO);
    }
    metrics.http(HttpLabels { route: "a", ..HTTP }).record(200, None, Duration::ZERO);
    let text = metrics.scrape().unwrap();
    let overflow = r#"weft_http_requests_total{client_identity="overflow",direction="inbound",grpc_status="",mtls="true",namespace="overflow",route="overflow",server_identity="",service="overflow",status_class="2xx"} 2"#;
    assert!(text.contains(overflow), "{text}");
    assert!(text.contains(r#"weft_telemetry_overflowed_series_total{family="weft_http_requests_total"} 2"#));
    assert!(!text.contains(r#"route="c""#));
}

#[test]
fn a_forgotten_destination_leaves_the_scrape_and_makes_room() {
    let metrics = Metrics::new(1);
    metrics.destination("shop", "users").set_endpoints(EndpointState::Ready, 3);
    assert!(
        metrics
            .scrape()
            .unwrap()
            .contains(r#"weft_balancer_endpoints{namespace="shop",service="users",state="ready"} 3"#)
    );
    assert!(metrics.forget_destination("shop", "users"));
    assert!(!metrics.scrape().unwrap().contains("users"));
    metrics.destination("shop", "orders").retry(RetryOutcome::RefusedBudget);
    assert!(
        metrics
            .scrape()
            .unwrap()
            .contains(r#"weft_retries_total{namespace="shop",outcome="refused_budget",service="orders"} 1"#)
    );
}

#[test]
fn a_destination_that_is_still_counted_is_not_forgotten() {
    let metrics = Metrics::new(10);
    let handle = metrics.destination("shop", "users");
    assert!(!metrics.forget_destination("shop", "users"));
    handle.retry(RetryOutcome::Done);
    let counted = r#"weft_retries_total{namespace="shop",outcome="done",service="users"} 1"#;
    assert!(metrics.scrape().unwrap().contains(counted));
    drop(handle);
    assert!(metrics.forget_destination("shop", "users"));
    assert!(!metrics.scrape().unwrap().contains("users"));
}

/// Counts one request of a route.
fn request(metrics: &Metrics, route: &str) {
    metrics.http(HttpLabels { route, ..HTTP }).record(200, None, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn series_that_nobody_uses_any_more_make_room_for_others() {
    let metrics = Metrics::new(2);
    request(&metrics, "gone");
    let open = metrics.tcp(TCP).opened();
    request(&metrics, "used");
    advance(Duration::from_secs(14 * 60)).await;
    request(&metrics, "used");
    request(&metrics, "early");
    let text = metrics.scrape().unwrap();
    assert!(text.contains(r#"route="gone""#) && !text.contains(r#"route="early""#), "too early: {text}");
    advance(Duration::from_secs(2 * 60)).await;
    request(&metrics, "new");
    let text = metrics.scrape().unwrap();
    assert!(!text.contains(r#"route="gone""#), "{text}");
    assert!(text.contains(r#"route="new""#) && text.contains(r#"route="used""#), "{text}");
    assert!(text.contains("weft_tcp_open_connections"), "another family has its own cap: {text}");
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_is_held_or_shared_stays() {
    let metrics = Metrics::new(3);
    let held = metrics.http(HttpLabels { route: "held", ..HTTP });
    held.record(200, None, Duration::ZERO);
    // The same requests in another protocol, and the same durations from another peer.
    let (http2, other) = (HttpLabels { protocol: Protocol::Http2, ..HTTP }, HttpLabels { peer: None, ..HTTP });
    for labels in [http2, other] {
        metrics.http(HttpLabels { route: "held", ..labels }).record(200, None, Duration::ZERO);
    }
    advance(Duration::from_secs(16 * 60)).await;
    request(&metrics, "new");
    let text = metrics.scrape().unwrap();
    let of = |family: &str, label: &str| {
        text.lines().any(|line| line.starts_with(family) && line.contains(r#"route="held""#) && line.contains(label))
    };
    assert!(of("weft_http_requests_total", "sa/orders") && !of("weft_http_requests_total", r#"client_identity="""#));
    assert!(of("weft_http_request_duration_seconds", "http1"), "{text}");
    assert!(!of("weft_http_request_duration_seconds", "http2"), "{text}");
    assert!(text.contains(r#"route="new""#), "{text}");
}

#[test]
fn gauges_that_are_asked_for_are_fresh_in_each_scrape() {
    let metrics = Metrics::new(10);
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&scrapes);
    metrics.before_scrape(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(metrics.discovery_age(), None);
    metrics.set_discovery_age(Duration::from_millis(1500));
    assert!(metrics.scrape().unwrap().contains("weft_discovery_age_seconds 1.5\n"));
    assert_eq!(metrics.discovery_age(), Some(Duration::from_millis(1500)));
    assert_eq!(scrapes.load(Ordering::Relaxed), 1);
}

#[test]
fn every_reason_can_be_counted_in_both_directions() {
    let metrics = Metrics::new(10);
    for reason in Reason::ALL {
        metrics.error(Direction::Inbound, *reason);
        metrics.error(Direction::Outbound, *reason);
    }
    let text = metrics.scrape().unwrap();
    let counted = text.lines().filter(|line| line.starts_with("weft_proxy_errors_total{") && line.ends_with(" 1"));
    assert_eq!(counted.count(), 2 * Reason::ALL.len());
    assert!(text.contains(r#"weft_proxy_errors_total{direction="outbound",reason="no-endpoints"} 1"#));
}

#[test]
fn what_a_scrape_shows_is_what_the_table_declares() {
    let metrics = Metrics::new(10);
    metrics.http(HTTP).record(200, None, Duration::ZERO);
    drop(metrics.tcp(TCP).opened());
    let destination = metrics.destination("shop", "users");
    destination.pick(PickOutcome::Picked);
    destination.ejected(EjectionCause::SuccessRate);
    metrics.detected(Protocol::Tls);
    metrics.renewal(RenewalOutcome::Renewed);
    metrics.set_certificate_expiry(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000));
    let text = metrics.scrape().unwrap();
    let shown: HashSet<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let declared: HashSet<(&str, &str)> = FAMILIES.iter().map(|family| (family.name, family.kind)).collect();
    assert_eq!(shown, declared);
    assert!(text.contains("weft_certificate_expiry_timestamp_seconds 2000000000\n"));
}

#[test]
fn words_stand_at_the_place_of_their_enum() {
    assert!(Direction::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(Protocol::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(RetryOutcome::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(PickOutcome::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(EjectionCause::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(EndpointState::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(SpanOutcome::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
    assert!(RenewalOutcome::ALL.iter().enumerate().all(|(index, word)| *word as usize == index));
}

#[test]
fn the_page_on_metrics_is_what_the_table_says() {
    let page = include_str!("../../../docs/metrics.md");
    assert!(page == markdown(), "docs/metrics.md is out of date: run `make docs`");
}
