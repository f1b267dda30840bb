//! Everyone who wants to know of each request that has ended. While nobody does, nothing is gathered about one.

use super::{
    access_log::{AccessLog, Entry},
    tap::Taps,
    traces::Traces,
};

/// Who wants to know. Cheap to clone.
#[derive(Clone)]
pub struct Observers {
    /// A line for each request or connection, if that is wanted.
    pub access_log: AccessLog,
    /// Who looks on, for a while.
    pub taps: Taps,
    /// Spans for a collector, if there is one.
    pub traces: Traces,
}

impl Observers {
    /// Whether anybody wants to know: ask before gathering anything.
    pub fn any(&self) -> bool {
        self.access_log.is_on() || self.taps.are_on() || self.traces.are_on()
    }

    /// Tells all of them. Never waits.
    pub fn record(&self, entry: &Entry<'_>) {
        self.access_log.record(entry);
        self.taps.record(entry);
        self.traces.record(entry);
    }
}
