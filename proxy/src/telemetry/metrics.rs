//! The table of metric families, and docs/metrics.md printed from it.

use std::{fmt::Write as _, time::Duration};

/// One family: everything there is to say about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// Seconds. Calls inside a cluster take one to some ten milliseconds, so half the buckets lie below 50 ms; the last ones
/// tell a slow answer from a lost one.
pub(super) const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What a proxy adds is tens of microseconds, and milliseconds when something is wrong.
pub(super) const SHARES: [Duration; 16] = {
    const MICROS: [u64; 16] = [
        10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000,
    ];
    let mut bounds = [Duration::ZERO; 16];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = Duration::from_micros(MICROS[at]);
        at += 1;
    }
    bounds
};

macro_rules! families {
    ($($constant:ident = $name:literal $kind:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)+
        /// All families, in the order of the page.
        pub(super) const FAMILIES: &[Family] = &[$($constant),+];
    };
}

families! {
    HTTP_REQUESTS = "weft_http_requests_total" "counter"
        ["direction", "namespace", "service", "route", "status_class", "grpc_status", "mtls", "client_identity", "server_identity"]
        "HTTP requests that have ended, with the answer that the client got. Inbound, client_identity is the verified caller; outbound, server_identity is the verified peer; the other one is empty, and grpc_status is empty for calls that are not gRPC";
    HTTP_DURATION = "weft_http_request_duration_seconds" "histogram"
        ["direction", "namespace", "service", "route", "protocol", "mtls"]
        "Time from a request's head to the end of its answer";
    HTTP_PROXY = "weft_http_proxy_duration_seconds" "histogram" ["direction", "mtls"]
        "Of requests that the peer has answered: the time from the request's head to the answer's that was not spent waiting for the peer, which is route, policy, the wait for an endpoint and the pauses between tries";
    HTTP_PEER = "weft_http_peer_duration_seconds" "histogram" ["direction", "mtls"]
        "Of the same requests: the time from handing on the head to the head of the answer, over all tries. The peer is the app (inbound) or what is behind the connection to the endpoint (outbound: network, the other proxy, its app). A connection that has to be made first, and a request's body that the peer wants to see first, count here";
    TCP_CONNECTIONS = "weft_tcp_connections_total" "counter" ["direction", "namespace", "service", "mtls"]
        "Opaque connections opened";
    TCP_CLOSED = "weft_tcp_closed_connections_total" "counter" ["direction", "namespace", "service", "mtls"]
        "Opaque connections closed, for whatever reason";
    TCP_OPEN = "weft_tcp_open_connections" "gauge" ["direction", "namespace", "service", "mtls"]
        "Opaque connections that are open now";
    TCP_BYTES = "weft_tcp_bytes_total" "counter" ["direction", "namespace", "service", "mtls", "flow"]
        "Bytes carried on opaque connections: flow is received (from the client) or sent (to the client)";
    RETRIES = "weft_retries_total" "counter" ["outcome", "namespace", "service"]
        "Failed requests that a retry was considered for, by what became of it";
    PICKS = "weft_balancer_picks_total" "counter" ["outcome", "namespace", "service"]
        "Picks of an endpoint, by how they ended";
    ENDPOINTS = "weft_balancer_endpoints" "gauge" ["state", "namespace", "service"]
        "Endpoints of a destination, by how the balancer sees them";
    EJECTIONS = "weft_balancer_ejections_total" "counter" ["cause", "namespace", "service"]
        "How often the breaker set an endpoint aside, by what for: failures one after the other (consecutive), fewer successes than the other endpoints have (success_rate), or no connection (unreachable)";
    ERRORS = "weft_proxy_errors_total" "counter" ["direction", "reason"]
        "Requests and connections that the proxy itself ended, by reason (the value of weft-proxy-error)";
    DETECTED = "weft_detected_total" "counter" ["protocol"]
        "Connections by what their first bytes showed";
    DISCOVERY_AGE = "weft_discovery_age_seconds" "gauge" []
        "How old the picture of the mesh is: 0 while the control plane is connected, -1 before its first answer";
    CERTIFICATE_EXPIRY = "weft_certificate_expiry_timestamp_seconds" "gauge" []
        "When the certificate in use expires, in seconds since 1970; 0 while there is none";
    CERTIFICATE_RENEWALS = "weft_certificate_renewals_total" "counter" ["outcome"]
        "Tries to get a certificate";
    ACCESS_LOG_DROPPED = "weft_access_log_dropped_lines_total" "counter" []
        "Lines of the access log that were dropped because they could not be written fast enough";
    TRACE_SPANS = "weft_trace_spans_total" "counter" ["outcome"]
        "Spans of traced requests: exported to the collector; queue_full and not_taken are lost";
    SERIES_OVERFLOWED = "weft_telemetry_overflowed_series_total" "counter" ["family"]
        "Times that a new set of labels was counted under overflow because of WEFT_SERIES_LIMIT";
    BUILD_INFO = "weft_build_info" "gauge" ["version"]
        "Always 1";
    PROCESS_CPU = "process_cpu_seconds_total" "counter" []
        "User and system CPU time of the proxy";
    PROCESS_RESIDENT = "process_resident_memory_bytes" "gauge" []
        "Memory that the proxy holds";
    PROCESS_OPEN_FDS = "process_open_fds" "gauge" []
        "Open file descriptors";
    PROCESS_MAX_FDS = "process_max_fds" "gauge" []
        "The limit on open file descriptors";
    PROCESS_THREADS = "process_threads" "gauge" []
        "Threads";
    PROCESS_START = "process_start_time_seconds" "gauge" []
        "When the proxy started, in seconds since 1970";
}

const OPENING: &str = "# Metrics of weft-proxy

Printed by `weft-proxy docs metrics` from the table in proxy/src/telemetry/metrics.rs; a test keeps it true. They are
served at `/metrics` on the admin port (4191). Times are seconds, amounts are bytes.

Label values are names of the mesh or words of a fixed list, never what a client chose. When the families of requests, of
connections or of destinations reach `WEFT_SERIES_LIMIT` sets of labels, new ones are counted with the value `overflow`.
";

/// The page.
pub fn markdown() -> String {
    let mut page = OPENING.to_owned();
    page.push_str("\n| family | kind | labels | what it is |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help } in FAMILIES {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot go wrong.
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help}. |", labels.join(", "));
    }
    let bounds: Vec<_> = SECONDS.iter().map(ToString::to_string).collect();
    let _ = writeln!(page, "\nBounds of `{}`, in seconds: {}.", HTTP_DURATION.name, bounds.join(", "));
    let bounds: Vec<_> = SHARES.iter().map(|bound| bound.as_secs_f64().to_string()).collect();
    let _ = writeln!(page, "\nBounds of the other two histograms, in seconds: {}.", bounds.join(", "));
    page
}
