//! Metric families about certificates: who got one, who did not, what the authority goes by.

use std::time::{Duration, SystemTime};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::{families::Families, unix_seconds};

/// The families. Label values are enums.
pub struct CertificateMetrics {
    requests: IntCounterVec,
    refused: IntCounterVec,
    token_reviews: IntCounterVec,
    token_review_seconds: Histogram,
    own_expiry: IntGauge,
    issuer_expiry: IntGauge,
    root_expiry: IntGauge,
    rotation_phase: IntGaugeVec,
    proxies_behind: IntGauge,
    /// Times that the issuer has been replaced.
    pub issuer_rotations: IntCounter,
}

/// The API server takes milliseconds; more when it is busy.
const REVIEW_BUCKETS: [f64; 8] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0];

impl CertificateMetrics {
    /// New families in the registry, all at nothing.
    pub(super) fn new(registry: &Families) -> Result<Self, prometheus::Error> {
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name, help| IntGauge::new(name, help);
        let review = HistogramOpts::new(
            "weft_control_token_review_duration_seconds",
            "Time that the API server took for a token.",
        );
        let metrics = Self {
            requests: counters(
                "weft_control_certificates_total",
                "Requests for a certificate.",
                &["proof", "outcome"],
            )?,
            refused: counters(
                "weft_control_certificates_refused_total",
                "Requests for a certificate that got none.",
                &["proof", "reason"],
            )?,
            token_reviews: counters(
                "weft_control_token_reviews_total",
                "Service-account tokens looked at; remembered ones without the API server.",
                &["outcome"],
            )?,
            token_review_seconds: Histogram::with_opts(review.buckets(REVIEW_BUCKETS.to_vec()))?,
            own_expiry: gauge(
                "weft_certificate_expiry_timestamp_seconds",
                "When the control plane's own leaf is over.",
            )?,
            issuer_expiry: gauge("weft_control_issuer_expiry_timestamp_seconds", "When the issuer is over.")?,
            root_expiry: gauge("weft_control_root_expiry_timestamp_seconds", "When the first trusted root is over.")?,
            rotation_phase: IntGaugeVec::new(
                Opts::new(
                    "weft_control_rotation_phase",
                    "1 for the phase that a rotation of the root is in; told by the replica that leads.",
                ),
                &["phase"],
            )?,
            proxies_behind: gauge(
                "weft_control_identity_behind",
                "Proxies and replicas without the roots and the issuer of this moment; told by the replica that leads.",
            )?,
            issuer_rotations: IntCounter::new(
                "weft_control_issuer_rotations_total",
                "Times that the issuer was replaced.",
            )?,
        };
        metrics.register(registry)?;
        Ok(metrics)
    }

    fn register(&self, registry: &Families) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.token_reviews.clone()))?;
        registry.register(Box::new(self.token_review_seconds.clone()))?;
        registry.register(Box::new(self.own_expiry.clone()))?;
        registry.register(Box::new(self.issuer_expiry.clone()))?;
        registry.register(Box::new(self.root_expiry.clone()))?;
        registry.register(Box::new(self.rotation_phase.clone()))?;
        registry.register(Box::new(self.proxies_behind.clone()))?;
        registry.register(Box::new(self.issuer_rotations.clone()))
    }

    /// When the control plane's own leaf, the issuer and the first root are over.
    pub fn end(&self, own: SystemTime, issuer: SystemTime, root: SystemTime) {
        self.own_expiry.set(unix_seconds(own));
        self.issuer_expiry.set(unix_seconds(issuer));
        self.root_expiry.set(unix_seconds(root));
    }

    /// How far a rotation of the root has come, of all phases that there are, and how many are behind. None: another replica
    /// tells.
    pub fn rotation(&self, phase: Option<&str>, phases: &[&str], behind: usize) {
        for one in phases {
            self.rotation_phase.with_label_values(&[one]).set(i64::from(Some(*one) == phase));
        }
        self.proxies_behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
    }

    /// A request got its certificate.
    pub fn issued(&self, proof: &str) {
        self.requests.with_label_values(&[proof, "issued"]).inc();
    }

    /// A request got none.
    pub fn refused(&self, proof: &str, reason: &str) {
        self.requests.with_label_values(&[proof, "refused"]).inc();
        self.refused.with_label_values(&[proof, reason]).inc();
    }

    /// A service-account token was looked at.
    pub fn token_review(&self, outcome: &str) {
        self.token_reviews.with_label_values(&[outcome]).inc();
    }

    /// The API server has answered about a token.
    pub fn token_review_took(&self, took: Duration) {
        self.token_review_seconds.observe(took.as_secs_f64());
    }
}
