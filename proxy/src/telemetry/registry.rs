//! All metrics of one proxy, in a registry of its own, and how they are read out.

use std::{
    array,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use prometheus::{
    Counter, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use super::{
    capped::{Capped, DestinationKey, HttpKey, TcpKey},
    labels::{Direction, Protocol, RenewalOutcome, SpanOutcome},
    metrics::{self, Family},
    process::Process,
    series::{DestinationSeries, HttpLabels, HttpSeries, TcpLabels, TcpSeries},
    shares::{AllShares, Shares},
};
use crate::error::Reason;

type Hook = Box<dyn Fn() + Send + Sync>;

/// Every family of the proxy. Shared by all threads; handles taken from it are lock-free.
pub struct Metrics {
    registry: Registry,
    pub(super) vecs: Vecs,
    http: Capped<HttpKey, HttpSeries>,
    tcp: Capped<TcpKey, TcpSeries>,
    destinations: Capped<DestinationKey, DestinationSeries>,
    errors: [[IntCounter; Reason::ALL.len()]; 2],
    detected: [IntCounter; Protocol::ALL.len()],
    renewals: [IntCounter; RenewalOutcome::ALL.len()],
    discovery_age: Gauge,
    certificate_expiry: Gauge,
    access_log_dropped: IntCounter,
    spans: SpanCounters,
    process: Process,
    shares: AllShares,
    hooks: Mutex<Vec<Hook>>,
}

/// The families whose series appear on first use.
#[derive(Clone)]
pub(super) struct Vecs {
    pub(super) http_requests: IntCounterVec,
    pub(super) http_duration: HistogramVec,
    pub(super) tcp_connections: IntCounterVec,
    pub(super) tcp_closed: IntCounterVec,
    pub(super) tcp_open: IntGaugeVec,
    pub(super) tcp_bytes: IntCounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) picks: IntCounterVec,
    pub(super) endpoints: IntGaugeVec,
    pub(super) ejections: IntCounterVec,
}

/// What becomes of spans. Cheap to clone.
#[derive(Clone)]
pub struct SpanCounters([IntCounter; SpanOutcome::ALL.len()]);

impl SpanCounters {
    fn register(registry: &Registry) -> Self {
        let spans = counters(registry, metrics::TRACE_SPANS);
        Self(SpanOutcome::ALL.map(|outcome| spans.with_label_values(&[outcome.label()])))
    }

    /// Counts spans.
    pub fn count(&self, outcome: SpanOutcome, spans: usize) {
        self.0[outcome as usize].inc_by(spans as u64);
    }

    /// The counter of one outcome.
    pub fn of(&self, outcome: SpanOutcome) -> &IntCounter {
        &self.0[outcome as usize]
    }
}

impl Metrics {
    /// All families, empty. `series_limit`: how many sets of labels each growing family may have.
    pub fn new(series_limit: usize) -> Arc<Self> {
        let registry = Registry::new();
        let errors = counters(&registry, metrics::ERRORS);
        let error =
            |direction: Direction, reason: Reason| errors.with_label_values(&[direction.label(), reason.label()]);
        let detected = counters(&registry, metrics::DETECTED);
        let renewals = counters(&registry, metrics::CERTIFICATE_RENEWALS);
        let overflowed = counters(&registry, metrics::SERIES_OVERFLOWED);
        let overflowed = |family: Family| overflowed.with_label_values(&[family.name]);
        gauges(&registry, metrics::BUILD_INFO).with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Arc::new(Self {
            http: Capped::new(series_limit, overflowed(metrics::HTTP_REQUESTS)),
            tcp: Capped::new(series_limit, overflowed(metrics::TCP_CONNECTIONS)),
            destinations: Capped::new(series_limit, overflowed(metrics::ENDPOINTS)),
            errors: Direction::ALL.map(|direction| array::from_fn(|index| error(direction, Reason::ALL[index]))),
            detected: Protocol::ALL.map(|protocol| detected.with_label_values(&[protocol.label()])),
            renewals: RenewalOutcome::ALL.map(|outcome| renewals.with_label_values(&[outcome.label()])),
            discovery_age: gauge(&registry, metrics::DISCOVERY_AGE, -1.0),
            certificate_expiry: gauge(&registry, metrics::CERTIFICATE_EXPIRY, 0.0),
            access_log_dropped: counters(&registry, metrics::ACCESS_LOG_DROPPED).with_label_values::<&str>(&[]),
            spans: SpanCounters::register(&registry),
            process: Process::register(&registry),
            shares: register(&registry, AllShares::new()),
            vecs: Vecs::register(&registry),
            hooks: Mutex::new(Vec::new()),
            registry,
        })
    }

    /// The series of requests with these labels. Once per route or connection: takes a lock.
    pub fn http(&self, labels: HttpLabels<'_>) -> Arc<HttpSeries> {
        let unregister =
            |key: &_, others: &mut dyn Iterator<Item = &_>| HttpSeries::unregister(&self.vecs, key, others);
        self.http.series(labels.into(), |key| HttpSeries::new(&self.vecs, key), unregister)
    }

    /// The series of opaque connections with these labels. Once per connection: takes a lock.
    pub fn tcp(&self, labels: TcpLabels<'_>) -> Arc<TcpSeries> {
        let unregister = |key: &_, _: &mut dyn Iterator<Item = &_>| TcpSeries::unregister(&self.vecs, key);
        self.tcp.series(labels.into(), |key| TcpSeries::new(&self.vecs, key), unregister)
    }

    /// The series of one destination's balancer and retries. Once per destination: takes a lock.
    pub fn destination(&self, namespace: &str, service: &str) -> Arc<DestinationSeries> {
        let key = DestinationKey::new(namespace, service);
        let unregister = |key: &_, _: &mut dyn Iterator<Item = &_>| DestinationSeries::unregister(&self.vecs, key);
        self.destinations.series(key, |key| DestinationSeries::new(&self.vecs, key), unregister)
    }

    /// Drops the series of a destination that is no longer used. False: somebody holds a handle and may count still.
    pub fn forget_destination(&self, namespace: &str, service: &str) -> bool {
        let key = DestinationKey::new(namespace, service);
        self.destinations.remove(&key, || DestinationSeries::unregister(&self.vecs, &key))
    }

    /// Where one more worker counts what requests' time goes into. Once per worker: takes a lock.
    pub fn shares(&self) -> Arc<Shares> {
        self.shares.of_worker()
    }

    /// Counts something that the proxy itself ended.
    pub fn error(&self, direction: Direction, reason: Reason) {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        debug_assert!(index.is_some(), "{} is missing in Reason::ALL", reason.label());
        if let Some(counter) = index.and_then(|index| self.errors[direction as usize].get(index)) {
            counter.inc();
        }
    }

    /// Counts what the first bytes of a connection showed.
    pub fn detected(&self, protocol: Protocol) {
        self.detected[protocol as usize].inc();
    }

    /// Counts a try to get a certificate.
    pub fn renewal(&self, outcome: RenewalOutcome) {
        self.renewals[outcome as usize].inc();
    }

    /// When the certificate in use expires.
    pub fn set_certificate_expiry(&self, expiry: SystemTime) {
        let since = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.certificate_expiry.set(since.as_secs_f64());
    }

    /// How old the picture of the mesh is; zero while the control plane is connected.
    pub fn set_discovery_age(&self, age: Duration) {
        self.discovery_age.set(age.as_secs_f64());
    }

    /// What [`Self::set_discovery_age`] said last; None before the control plane's first answer.
    pub fn discovery_age(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.discovery_age.get()).ok()
    }

    /// Lines that the access log dropped.
    pub fn access_log_dropped(&self) -> &IntCounter {
        &self.access_log_dropped
    }

    /// What becomes of spans.
    pub fn spans(&self) -> &SpanCounters {
        &self.spans
    }

    /// Calls this before each scrape: for gauges that are cheaper to ask for than to keep.
    pub fn before_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// Brings the asked-for gauges up to date.
    pub fn refresh(&self) {
        self.process.refresh();
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|hook| hook());
    }

    /// All series in Prometheus' text format.
    ///
    /// # Errors
    /// Two series of one family contradict each other; none of ours do.
    pub fn scrape(&self) -> Result<String, prometheus::Error> {
        self.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Vecs {
    fn register(registry: &Registry) -> Self {
        let HistogramOpts { common_opts, .. } = HistogramOpts::from(options(metrics::HTTP_DURATION));
        let duration = HistogramOpts { common_opts, buckets: metrics::SECONDS.to_vec() };
        Self {
            http_requests: counters(registry, metrics::HTTP_REQUESTS),
            http_duration: register(registry, HistogramVec::new(duration, metrics::HTTP_DURATION.labels)),
            tcp_connections: counters(registry, metrics::TCP_CONNECTIONS),
            tcp_closed: counters(registry, metrics::TCP_CLOSED),
            tcp_open: gauges(registry, metrics::TCP_OPEN),
            tcp_bytes: counters(registry, metrics::TCP_BYTES),
            retries: counters(registry, metrics::RETRIES),
            picks: counters(registry, metrics::PICKS),
            endpoints: gauges(registry, metrics::ENDPOINTS),
            ejections: counters(registry, metrics::EJECTIONS),
        }
    }
}

pub(super) fn counter(registry: &Registry, family: Family) -> Counter {
    register(registry, Counter::with_opts(options(family)))
}

pub(super) fn int_gauge(registry: &Registry, family: Family) -> IntGauge {
    register(registry, IntGauge::with_opts(options(family)))
}

pub(super) fn gauge(registry: &Registry, family: Family, start: f64) -> Gauge {
    let gauge = register(registry, Gauge::with_opts(options(family)));
    gauge.set(start);
    gauge
}

fn counters(registry: &Registry, family: Family) -> IntCounterVec {
    register(registry, IntCounterVec::new(options(family), family.labels))
}

fn gauges(registry: &Registry, family: Family) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(options(family), family.labels))
}

fn options(family: Family) -> Opts {
    Opts::new(family.name, family.help)
}

#[expect(clippy::expect_used, reason = "families are constants, and a test makes them all")]
fn register<C: Collector + Clone + 'static>(registry: &Registry, family: prometheus::Result<C>) -> C {
    let family = family.expect("a family's name and labels are well formed");
    registry.register(Box::new(family.clone())).expect("a family is registered once");
    family
}
