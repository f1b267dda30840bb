//! Metrics and logs of the control plane.

mod certificates;
mod log;
mod metrics;

pub use certificates::CertificateMetrics;
pub use log::{LogFormat, init};
pub use metrics::{Admission, Metrics};
