//! Counts a request that is delivered to the app: once, however it ends.

use std::{cell::Cell, sync::Arc};

use tokio::time::Instant;

use crate::telemetry::HttpSeries;

/// A request to be counted. Dropped before an answer was seen, it counts as one without.
pub struct Record {
    series: Arc<HttpSeries>,
    started: Instant,
    status: Cell<u16>,
    grpc_status: Cell<Option<u8>>,
}

impl Record {
    /// Starts the clock.
    pub fn new(series: Arc<HttpSeries>) -> Self {
        Self { series, started: Instant::now(), status: Cell::new(0), grpc_status: Cell::new(None) }
    }

    /// The head of the answer, or of one that a proxy makes in its place.
    pub fn status(&self, status: u16) {
        self.status.set(status);
    }

    /// The status in a gRPC answer's trailers.
    pub fn grpc_status(&self, status: Option<u8>) {
        self.grpc_status.set(status);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.series.record(self.status.get(), self.grpc_status.get(), self.started.elapsed());
    }
}
