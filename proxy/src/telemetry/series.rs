//! Handles to the series of a set of labels: looked up once, lock-free from then on. How many there may be: `capped.rs`.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::{
    capped::{DestinationKey, HttpKey, OVERFLOW, TcpKey},
    labels::{Direction, EjectionCause, EndpointState, PickOutcome, Protocol, RetryOutcome},
    registry::Vecs,
};

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// The gRPC codes 0 to 16, then any other, then "not gRPC".
const GRPC: [&str; 19] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "other", ""];

/// What the requests of one series have in common.
#[derive(Clone, Copy, Debug)]
pub struct HttpLabels<'a> {
    /// Which way.
    pub direction: Direction,
    /// The namespace of the service that is called; empty for foreign addresses.
    pub namespace: &'a str,
    /// The service that is called.
    pub service: &'a str,
    /// The route that matched; empty if the service has none.
    pub route: &'a str,
    /// What the client speaks.
    pub protocol: Protocol,
    /// Whether the call crosses the mesh encrypted and authenticated.
    pub mtls: bool,
    /// The verified identity of the other side, if it has one.
    pub peer: Option<&'a str>,
}

/// What the opaque connections of one series have in common.
#[derive(Clone, Copy, Debug)]
pub struct TcpLabels<'a> {
    /// Which way.
    pub direction: Direction,
    /// The namespace of the service that is called; empty for foreign addresses.
    pub namespace: &'a str,
    /// The service that is called.
    pub service: &'a str,
    /// Whether the connection crosses the mesh encrypted and authenticated.
    pub mtls: bool,
}

/// Requests with the same labels.
pub struct HttpSeries {
    requests: IntCounterVec,
    key: HttpKey,
    counters: [OnceLock<IntCounter>; CLASSES.len() * GRPC.len()],
    duration: Histogram,
}

impl HttpSeries {
    pub(super) fn new(vecs: &Vecs, key: &HttpKey) -> Self {
        Self {
            requests: vecs.http_requests.clone(),
            key: key.clone(),
            counters: [const { OnceLock::new() }; CLASSES.len() * GRPC.len()],
            duration: vecs.http_duration.with_label_values(&duration_labels(key)),
        }
    }

    /// Counts one request that has ended. `status` 0: the client got no answer. Lock-free after the first of its kind.
    pub fn record(&self, status: u16, grpc_status: Option<u8>, elapsed: Duration) {
        let class = usize::from(status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        let grpc = grpc_status.map_or(GRPC.len() - 1, |code| usize::from(code).min(GRPC.len() - 2));
        self.counters[class * GRPC.len() + grpc].get_or_init(|| self.counter(CLASSES[class], GRPC[grpc])).inc();
        self.duration.observe(elapsed.as_secs_f64());
    }

    fn counter(&self, class: &str, grpc: &str) -> IntCounter {
        self.requests.with_label_values(&request_labels(&self.key, class, grpc))
    }

    /// Takes the series of these labels out of the scrape, but for what others have in common with it. A series that was
    /// never made is no error.
    pub(super) fn unregister(vecs: &Vecs, key: &HttpKey, others: &mut dyn Iterator<Item = &HttpKey>) {
        let (mut requests, mut duration) = (false, false);
        for other in others {
            requests |= key.shares_requests(other);
            duration |= key.shares_duration(other);
        }
        if !requests {
            for (class, grpc) in CLASSES.iter().flat_map(|class| GRPC.iter().map(move |grpc| (class, grpc))) {
                let _ = vecs.http_requests.remove_label_values(&request_labels(key, class, grpc));
            }
        }
        if !duration {
            let _ = vecs.http_duration.remove_label_values(&duration_labels(key));
        }
    }
}

fn duration_labels(key: &HttpKey) -> [&str; 6] {
    [key.direction.label(), &key.namespace, &key.service, &key.route, key.protocol.label(), truth(key.mtls)]
}

fn request_labels<'a>(key: &'a HttpKey, class: &'a str, grpc: &'a str) -> [&'a str; 9] {
    let peer = key.peer.as_deref().unwrap_or_default();
    let (client, server) = match key.direction {
        Direction::Inbound => (peer, ""),
        Direction::Outbound => ("", peer),
    };
    let (namespace, service, route) = (&key.namespace, &key.service, &key.route);
    [key.direction.label(), namespace, service, route, class, grpc, truth(key.mtls), client, server]
}

/// Opaque connections with the same labels.
pub struct TcpSeries {
    connections: IntCounter,
    closed: IntCounter,
    open: IntGauge,
    received: IntCounter,
    sent: IntCounter,
}

impl TcpSeries {
    pub(super) fn new(vecs: &Vecs, key: &TcpKey) -> Self {
        let labels = tcp_labels(key);
        let flow = |flow| vecs.tcp_bytes.with_label_values(&[labels.as_slice(), &[flow]].concat());
        Self {
            connections: vecs.tcp_connections.with_label_values(&labels),
            closed: vecs.tcp_closed.with_label_values(&labels),
            open: vecs.tcp_open.with_label_values(&labels),
            received: flow("received"),
            sent: flow("sent"),
        }
    }

    /// Takes the series of these labels out of the scrape.
    pub(super) fn unregister(vecs: &Vecs, key: &TcpKey) {
        let labels = tcp_labels(key);
        let _ = vecs.tcp_connections.remove_label_values(&labels);
        let _ = vecs.tcp_closed.remove_label_values(&labels);
        let _ = vecs.tcp_open.remove_label_values(&labels);
        for flow in ["received", "sent"] {
            let _ = vecs.tcp_bytes.remove_label_values(&[labels.as_slice(), &[flow]].concat());
        }
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn opened(self: &Arc<Self>) -> OpenConnection {
        self.connections.inc();
        self.open.inc();
        OpenConnection { series: Arc::clone(self) }
    }
}

fn tcp_labels(key: &TcpKey) -> [&str; 4] {
    [key.direction.label(), &key.namespace, &key.service, truth(key.mtls)]
}

/// One open connection of a series: dropping it counts the close.
#[must_use = "dropping it counts the close"]
pub struct OpenConnection {
    series: Arc<TcpSeries>,
}

impl OpenConnection {
    /// Bytes that came from the client.
    pub fn received(&self, bytes: usize) {
        self.series.received.inc_by(bytes as u64);
    }

    /// Bytes that were written to the client.
    pub fn sent(&self, bytes: usize) {
        self.series.sent.inc_by(bytes as u64);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.series.closed.inc();
        self.series.open.dec();
    }
}

/// The balancer and the retries of one destination.
pub struct DestinationSeries {
    key: DestinationKey,
    retries: [IntCounter; RetryOutcome::ALL.len()],
    picks: [IntCounter; PickOutcome::ALL.len()],
    endpoints: [IntGauge; EndpointState::ALL.len()],
    ejections: [IntCounter; EjectionCause::ALL.len()],
}

impl DestinationSeries {
    pub(super) fn new(vecs: &Vecs, key: &DestinationKey) -> Self {
        let (namespace, service) = (key.namespace.as_str(), key.service.as_str());
        let labels = |word| [word, namespace, service];
        Self {
            key: key.clone(),
            retries: RetryOutcome::ALL.map(|outcome| vecs.retries.with_label_values(&labels(outcome.label()))),
            picks: PickOutcome::ALL.map(|outcome| vecs.picks.with_label_values(&labels(outcome.label()))),
            endpoints: EndpointState::ALL.map(|state| vecs.endpoints.with_label_values(&labels(state.label()))),
            ejections: EjectionCause::ALL.map(|cause| vecs.ejections.with_label_values(&labels(cause.label()))),
        }
    }

    /// Counts what became of the wish to retry.
    pub fn retry(&self, outcome: RetryOutcome) {
        self.retries[outcome as usize].inc();
    }

    /// Counts a pick.
    pub fn pick(&self, outcome: PickOutcome) {
        self.picks[outcome as usize].inc();
    }

    /// Counts an endpoint that the breaker has set aside.
    pub fn ejected(&self, cause: EjectionCause) {
        self.ejections[cause as usize].inc();
    }

    /// How many endpoints are in this state now. Beyond the cap on series it says nothing: sums of several destinations
    /// would be wrong in one gauge.
    pub fn set_endpoints(&self, state: EndpointState, number: usize) {
        if self.key.service != OVERFLOW {
            self.endpoints[state as usize].set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Takes the series out of the scrape. A series that is gone already is no error.
    pub(super) fn unregister(vecs: &Vecs, key: &DestinationKey) {
        let (namespace, service) = (key.namespace.as_str(), key.service.as_str());
        for outcome in RetryOutcome::ALL {
            let _ = vecs.retries.remove_label_values(&[outcome.label(), namespace, service]);
        }
        for outcome in PickOutcome::ALL {
            let _ = vecs.picks.remove_label_values(&[outcome.label(), namespace, service]);
        }
        for state in EndpointState::ALL {
            let _ = vecs.endpoints.remove_label_values(&[state.label(), namespace, service]);
        }
        for cause in EjectionCause::ALL {
            let _ = vecs.ejections.remove_label_values(&[cause.label(), namespace, service]);
        }
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
