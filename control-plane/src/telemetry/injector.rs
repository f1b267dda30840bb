//! Metric families about the injector: what became of pods, and its certificate.

use std::time::{Duration, SystemTime};

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts};

use super::{families::Families, unix_seconds};

/// The families. Label values are enums.
pub struct InjectorMetrics {
    admissions: IntCounterVec,
    seconds: Histogram,
    certificate_expiry: IntGauge,
}

/// What became of a pod that the injector was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The question could not be answered.
    Failed,
    /// It got its sidecar.
    Injected,
    /// It must not start as it is.
    Refused,
    /// It stays as it is.
    Skipped,
}

impl Admission {
    const ALL: [Self; 4] = [Self::Failed, Self::Injected, Self::Refused, Self::Skipped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Injected => "injected",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}

/// A patch takes well below a millisecond; the look-up of the namespace some more.
const BUCKETS: [f64; 8] = [0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

impl InjectorMetrics {
    /// New families in the registry, all at nothing.
    pub(super) fn new(registry: &Families) -> Result<Self, prometheus::Error> {
        let admissions = Opts::new("weft_injector_admissions_total", "Pods that the injector was asked about.");
        let seconds = HistogramOpts::new("weft_injector_admission_duration_seconds", "Time to answer about one pod.");
        let metrics = Self {
            admissions: IntCounterVec::new(admissions, &["outcome"])?,
            seconds: Histogram::with_opts(seconds.buckets(BUCKETS.to_vec()))?,
            certificate_expiry: IntGauge::new(
                "weft_injector_certificate_expiry_timestamp_seconds",
                "When the injector's serving certificate is over; 0: there is none yet.",
            )?,
        };
        // A rate of an outcome that has not come yet is 0 rather than nothing.
        Admission::ALL.iter().for_each(|outcome| metrics.admissions.with_label_values(&[outcome.as_str()]).reset());
        registry.register(Box::new(metrics.admissions.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.certificate_expiry.clone()))?;
        Ok(metrics)
    }

    /// A question about a pod has ended so.
    pub fn admitted(&self, admission: Admission) {
        self.admissions.with_label_values(&[admission.as_str()]).inc();
    }

    /// It took so long.
    pub fn took(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    /// A certificate is served that is over then.
    pub fn serves_until(&self, expiry: SystemTime) {
        self.certificate_expiry.set(unix_seconds(expiry));
    }
}
