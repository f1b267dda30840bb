//! The wall clock, as the shop writes times down.

use std::time::{Duration, SystemTime};

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// A time span in whole milliseconds.
#[must_use]
pub fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
