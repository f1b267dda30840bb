//! Metric families about the cluster: what is heard of it, and who writes to it.

use std::time::{Duration, SystemTime};

use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::{families::Families, unix_seconds};
use crate::index::ObjectKind;

/// The families. Label values are enums.
pub struct ClusterMetrics {
    lists: IntCounterVec,
    watch_failures: IntCounterVec,
    heard: IntGaugeVec,
    lag_seconds: Gauge,
    status_writes: IntCounterVec,
    /// 1 while this replica is the one that writes.
    pub lease_held: IntGauge,
}

impl ClusterMetrics {
    /// New families in the registry, all at nothing.
    pub(super) fn new(registry: &Families) -> Result<Self, prometheus::Error> {
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let heard = Opts::new(
            "weft_registry_heard_timestamp_seconds",
            "When the API server was last heard of a kind, be it that nothing had changed.",
        );
        let metrics = Self {
            lists: counters("weft_registry_lists_total", "Times that a kind was listed whole.", &["kind"])?,
            watch_failures: counters(
                "weft_registry_watch_failures_total",
                "Lists and watches of a kind that failed, and began anew.",
                &["kind", "reason"],
            )?,
            heard: IntGaugeVec::new(heard, &["kind"])?,
            lag_seconds: Gauge::new(
                "weft_registry_lag_seconds",
                "From a change of pods to the slice of endpoints that came of it last, as Kubernetes says it; whole seconds.",
            )?,
            status_writes: counters(
                "weft_control_status_writes_total",
                "Statuses of routes and policies that were to be written.",
                &["kind", "outcome"],
            )?,
            lease_held: IntGauge::new(
                "weft_control_lease_held",
                "1 while this replica is the one that writes to the cluster.",
            )?,
        };
        registry.register(Box::new(metrics.lists.clone()))?;
        registry.register(Box::new(metrics.watch_failures.clone()))?;
        registry.register(Box::new(metrics.heard.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        registry.register(Box::new(metrics.status_writes.clone()))?;
        registry.register(Box::new(metrics.lease_held.clone()))?;
        Ok(metrics)
    }

    /// A kind was listed whole.
    pub fn listed(&self, kind: ObjectKind) {
        self.lists.with_label_values(&[kind.as_str()]).inc();
    }

    /// A list or a watch of a kind has failed.
    pub fn watch_failed(&self, kind: ObjectKind, reason: &str) {
        self.watch_failures.with_label_values(&[kind.as_str(), reason]).inc();
    }

    /// The API server was heard of a kind.
    pub fn heard(&self, kind: ObjectKind, now: SystemTime) {
        self.heard.with_label_values(&[kind.as_str()]).set(unix_seconds(now));
    }

    /// How long ago the change was that the last slice of endpoints came of.
    pub fn lag(&self, lag: Duration) {
        self.lag_seconds.set(lag.as_secs_f64());
    }

    /// A status was to be written.
    pub fn status_written(&self, kind: &str, outcome: &str) {
        self.status_writes.with_label_values(&[kind, outcome]).inc();
    }
}
