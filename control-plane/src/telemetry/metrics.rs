//! Every metric family of the control plane.

use std::{sync::PoisonError, time::Duration};

use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::{certificates::CertificateMetrics, cluster::ClusterMetrics, families::Families, injector::InjectorMetrics};
use crate::{
    index::{Index, ObjectKind},
    registry::{Complaint, Condition},
};

/// The families. Label values are enums or names of the operator's own files and objects.
pub struct Metrics {
    families: Families,
    objects: IntGaugeVec,
    complaints: IntGaugeVec,
    broken: IntGauge,
    shown: std::sync::Mutex<Vec<[String; 2]>>,
    /// Streams of proxies that are open.
    pub streams: IntGauge,
    streams_behind: IntGauge,
    refused: IntCounterVec,
    lag_seconds: Gauge,
    updates: IntCounterVec,
    resolve_seconds: HistogramVec,
    /// About certificates.
    pub certificates: CertificateMetrics,
    /// About the cluster.
    pub cluster: ClusterMetrics,
    /// About the injector.
    pub injector: InjectorMetrics,
}

/// What there may only be so much of.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    /// Connections of one address.
    Connections,
    /// Handshakes, of one address or of all.
    Handshakes,
    /// Watch streams, of one connection or in the line.
    Streams,
    /// Subscriptions of one stream.
    Subscriptions,
    /// Requests for a certificate from one address.
    Certificates,
}

impl Over {
    const ALL: [Self; 5] =
        [Self::Connections, Self::Handshakes, Self::Streams, Self::Subscriptions, Self::Certificates];

    fn label(self) -> &'static str {
        match self {
            Self::Connections => "connection",
            Self::Handshakes => "handshake",
            Self::Streams => "stream",
            Self::Subscriptions => "subscription",
            Self::Certificates => "certificate",
        }
    }
}

/// Resolving takes microseconds; a large Service takes milliseconds.
const RESOLVE_BUCKETS: [f64; 8] = [0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.1];

impl Metrics {
    /// New families, all at nothing.
    ///
    /// # Errors
    /// Two families have one name, or a name is not one: a mistake in this file, which every start shows.
    pub fn new() -> Result<Self, prometheus::Error> {
        let families = Families::default();
        let gauge = |name, help| IntGauge::new(name, help);
        let gauges = |name, help, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let resolve =
            HistogramOpts::new("weft_control_resolve_duration_seconds", "Time to resolve and encode one topic.")
                .buckets(RESOLVE_BUCKETS.to_vec());
        let metrics = Self {
            objects: gauges("weft_registry_objects", "Objects that the registries know.", &["kind"])?,
            complaints: gauges(
                "weft_registry_problems",
                "1 for each place, in a file or a cluster, that is broken or not understood.",
                &["place", "severity"],
            )?,
            broken: gauge("weft_registry_broken", "Files and objects whose last good state is kept.")?,
            shown: std::sync::Mutex::default(),
            streams: gauge("weft_control_streams", "Streams of proxies that are open.")?,
            streams_behind: gauge(
                "weft_control_streams_behind",
                "Streams whose proxy has not confirmed an update for more than 5 s.",
            )?,
            refused: counters(
                "weft_control_refused_total",
                "Connections, handshakes, streams, subscriptions and requests for a certificate that were over their cap.",
                &["what"],
            )?,
            lag_seconds: Gauge::new(
                "weft_control_lag_seconds",
                "How long the update has been under way that has waited longest for its proxy to confirm it.",
            )?,
            updates: counters("weft_control_updates_total", "Updates lined up for subscribers.", &["kind"])?,
            resolve_seconds: HistogramVec::new(resolve, &["kind"])?,
            certificates: CertificateMetrics::new(&families)?,
            cluster: ClusterMetrics::new(&families)?,
            injector: InjectorMetrics::new(&families)?,
            families,
        };
        metrics.register()?;
        Over::ALL.iter().for_each(|what| metrics.refused.with_label_values(&[what.label()]).inc_by(0));
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let info =
            Opts::new("weft_build_info", "1; which release this is.").const_label("version", env!("CARGO_PKG_VERSION"));
        let info = IntGauge::with_opts(info)?;
        info.set(1);
        let families = &self.families;
        families.register(Box::new(info))?;
        families.register(Box::new(self.objects.clone()))?;
        families.register(Box::new(self.complaints.clone()))?;
        families.register(Box::new(self.broken.clone()))?;
        families.register(Box::new(self.streams.clone()))?;
        families.register(Box::new(self.streams_behind.clone()))?;
        families.register(Box::new(self.refused.clone()))?;
        families.register(Box::new(self.lag_seconds.clone()))?;
        families.register(Box::new(self.updates.clone()))?;
        families.register(Box::new(self.resolve_seconds.clone()))
    }

    /// Counts the index's objects.
    pub fn objects(&self, index: &Index) {
        for kind in ObjectKind::ALL {
            let count = i64::try_from(index.count(kind)).unwrap_or(i64::MAX);
            self.objects.with_label_values(&[kind.as_str()]).set(count);
        }
    }

    /// Shows what is wrong with a registry's objects, and no longer what was.
    pub fn condition(&self, condition: &Condition) {
        let labels = |one: &Complaint, severity: &str| [one.place.to_string(), severity.to_owned()];
        let broken = condition.broken.iter().map(|one| labels(one, "broken"));
        let now: Vec<_> = broken.chain(condition.warnings.iter().map(|one| labels(one, "warning"))).collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.iter().filter(|one| !now.contains(one)) {
            // It is there: it was shown.
            let _known = self.complaints.remove_label_values(&[&gone[0], &gone[1]]);
        }
        now.iter().for_each(|one| self.complaints.with_label_values(&[&one[0], &one[1]]).set(1));
        self.broken.set(i64::try_from(condition.broken.len()).unwrap_or(i64::MAX));
        *shown = now;
    }

    /// How many streams are behind, and by how much the one that is most.
    pub fn lag(&self, behind: i64, longest: Duration) {
        self.streams_behind.set(behind);
        self.lag_seconds.set(longest.as_secs_f64());
    }

    /// Something was over its cap.
    pub fn refused(&self, what: Over) {
        self.refused.with_label_values(&[what.label()]).inc();
    }

    /// Updates of one kind of topic.
    pub fn updates(&self, kind: &str) -> IntCounter {
        self.updates.with_label_values(&[kind])
    }

    /// A topic was resolved and encoded.
    pub fn resolved(&self, kind: &str, took: Duration) {
        self.resolve_seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    /// How often topics of a kind were resolved.
    pub fn resolutions(&self, kind: &str) -> u64 {
        self.resolve_seconds.with_label_values(&[kind]).get_sample_count()
    }

    /// All families in the text format.
    ///
    /// # Errors
    /// The library does not encode them.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        self.families.text()
    }

    /// docs/metrics-control-plane.md.
    pub fn markdown(&self) -> String {
        self.families.markdown()
    }
}
