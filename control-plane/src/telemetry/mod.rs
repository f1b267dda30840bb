//! Metrics and logs of the control plane.

mod certificates;
mod cluster;
mod families;
mod injector;
mod log;
mod metrics;

pub use certificates::CertificateMetrics;
pub use cluster::ClusterMetrics;
pub use injector::{Admission, InjectorMetrics};
pub use log::{LogFormat, init};
pub use metrics::{Metrics, Over};

/// Whole seconds since the epoch.
fn unix_seconds(moment: std::time::SystemTime) -> i64 {
    let since = moment.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
