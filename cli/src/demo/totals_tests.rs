use super::*;

const PAGE: &str = r#"
# TYPE weft_http_requests_total counter
weft_http_requests_total{direction="outbound",service="users",status_class="2xx",grpc_status="",mtls="true"} 90
weft_http_requests_total{direction="outbound",service="users",status_class="5xx",grpc_status="",mtls="true"} 4
weft_http_requests_total{direction="outbound",service="users",status_class="none",grpc_status="",mtls="false"} 1
weft_http_requests_total{direction="outbound",service="users",status_class="2xx",grpc_status="14",mtls="true"} 5
weft_http_requests_total{direction="outbound",service="orders",status_class="2xx",grpc_status="0",mtls="true"} 7
weft_http_requests_total{direction="inbound",service="users",status_class="2xx",grpc_status="",mtls="true"} 1000
weft_http_request_duration_seconds_bucket{direction="outbound",service="users",le="0.001"} 50
weft_http_request_duration_seconds_bucket{direction="outbound",service="users",le="0.01"} 90
weft_http_request_duration_seconds_bucket{direction="outbound",service="users",le="0.1"} 100
weft_http_request_duration_seconds_bucket{direction="outbound",service="users",le="+Inf"} 100
weft_retries_total{outcome="done",service="users"} 3
weft_retries_total{outcome="refused_budget",service="users"} 2
weft_balancer_ejections_total{service="users"} 2
weft_balancer_endpoints{state="ejected",service="users"} 1
weft_balancer_endpoints{state="ready",service="users"} 2
"#;

fn latency(counts: &[(f64, f64)]) -> Latency {
    let mut latency = Latency::default();
    for (bound, count) in counts {
        latency.add(*bound, *count);
    }
    latency
}

#[test]
fn a_page_is_counted_by_service_from_the_clients_side() {
    let page = read(PAGE);
    let users = &page["users"];
    assert_eq!((users.requests, users.failed, users.mtls), (100.0, 10.0, 99.0));
    assert_eq!((users.retries, users.ejections, users.ejected), (3.0, 2.0, 1.0));
    assert_eq!((page["orders"].requests, page["orders"].failed), (7.0, 0.0));
}

#[test]
fn a_difference_keeps_the_gauge_and_subtracts_the_rest() {
    let before = read(PAGE).remove("users").unwrap();
    let now = Totals { requests: 120.0, ejected: 0.0, ..before.clone() };
    let since = now.since(&before);
    assert_eq!((since.requests, since.failed, since.ejected), (20.0, 0.0, 0.0));
    assert_eq!(since.latency.quantile(0.5), None);
}

#[test]
fn a_proxy_that_started_anew_counts_from_zero() {
    let before = Totals { requests: 100.0, retries: 9.0, ..Totals::default() };
    let now = Totals { requests: 3.0, retries: 1.0, ..Totals::default() };
    assert_eq!(now.since(&before), now);
}

#[test]
fn several_proxies_add_up_but_the_same_endpoint_is_set_aside_once() {
    let mut all = read(PAGE).remove("users").unwrap();
    let other = all.clone();
    all.merge(&other);
    assert_eq!((all.requests, all.ejected), (200.0, 1.0));
    assert_eq!(all.latency.quantile(0.5), other.latency.quantile(0.5));
}

#[test]
fn a_quantile_lies_within_its_bucket() {
    let latency = latency(&[(0.001, 50.0), (0.01, 90.0), (0.1, 100.0), (f64::INFINITY, 100.0)]);
    assert_eq!(latency.quantile(0.5), Some(1.0));
    assert_eq!(latency.quantile(0.25), Some(0.5));
    assert_eq!(latency.quantile(0.7), Some(5.5));
    assert!((latency.quantile(0.99).unwrap() - 91.0).abs() < 1e-9);
    assert_eq!(latency.quantile(1.0), Some(100.0));
}

#[test]
fn a_quantile_above_the_last_bound_is_that_bound_and_empty_buckets_are_skipped() {
    let slow = latency(&[(0.001, 0.0), (0.01, 0.0), (f64::INFINITY, 5.0)]);
    assert_eq!(slow.quantile(0.5), Some(10.0));
    let gap = latency(&[(0.001, 0.0), (0.01, 0.0), (0.1, 10.0), (f64::INFINITY, 10.0)]);
    assert_eq!(gap.quantile(0.5), Some(55.0));
    assert_eq!(gap.quantile(0.0), Some(10.0));
    assert_eq!(Latency::default().quantile(0.5), None);
}
