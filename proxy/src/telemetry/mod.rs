//! What the proxy says about itself: metrics, the access log, taps, traces, its own log lines.
//!
//! Every metric family is declared in the table of `metrics.rs`. The other steps get handles from [`Metrics`] once per route,
//! connection or destination, and only add to them afterwards.

mod access_log;
mod capped;
mod labels;
mod logging;
mod metrics;
mod observers;
mod process;
mod registry;
mod series;
mod shares;
mod tap;
#[cfg(test)]
mod tests;
mod trace_context;
mod traces;

use std::time::Duration;

pub use access_log::{AccessLog, AccessLogWriter, Entry};
pub use labels::{
    Direction, EjectionCause, EndpointState, PickOutcome, Protocol, RenewalOutcome, RetryOutcome, SpanOutcome,
};
pub use logging::{LogControl, LogError};
pub use metrics::markdown;
pub use observers::Observers;
pub use registry::{Metrics, SpanCounters};
pub use series::{DestinationSeries, HttpLabels, HttpSeries, OpenConnection, TcpLabels, TcpSeries};
pub use shares::Shares;
pub use tap::{Observation, Taps, TooManyTaps};
pub use trace_context::TraceContext;
pub use traces::{Traces, text as attribute};

/// How long a handle to a series may be kept before it is looked up anew: what nobody has looked up for much longer, and
/// nobody holds, is no longer used.
pub const HANDLES_KEPT: Duration = Duration::from_secs(5 * 60);
