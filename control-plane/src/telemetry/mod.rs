//! Metrics and logs of the control plane.

mod log;
mod metrics;

pub use log::{LogFormat, init};
pub use metrics::{Admission, Metrics};
