//! Counts a request that is delivered to the app: once, however it ends; and what its time went into, if it was answered.

use std::{cell::Cell, sync::Arc};

use tokio::time::Instant;

use crate::telemetry::{Direction, HttpSeries, Shares};

/// A request to be counted. Dropped before an answer was seen, it counts as one without.
pub struct Record {
    series: Arc<HttpSeries>,
    started: Instant,
    /// When the app's turn began; taken once it is over.
    handed: Cell<Option<Instant>>,
    status: Cell<u16>,
    grpc_status: Cell<Option<u8>>,
}

impl Record {
    /// Starts the clock.
    pub fn new(series: Arc<HttpSeries>) -> Self {
        Self {
            series,
            started: Instant::now(),
            handed: Cell::new(None),
            status: Cell::new(0),
            grpc_status: Cell::new(None),
        }
    }

    /// From here on it is the app that is waited for: it is being connected to, or gets the request's head.
    pub fn handed(&self) {
        if self.handed.get().is_none() {
            self.handed.set(Some(Instant::now()));
        }
    }

    /// The head of the app's answer is there. `mtls`: the client is verified.
    pub fn answered(&self, shares: &Shares, mtls: bool) {
        if let Some(handed) = self.handed.take() {
            shares.record(Direction::Inbound, mtls, handed.saturating_duration_since(self.started), handed.elapsed());
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::telemetry::{HttpLabels, Metrics, Protocol};

    #[tokio::test(start_paused = true)]
    async fn time_is_the_proxys_until_the_app_is_handed_the_request_and_the_apps_until_it_answers() {
        let metrics = Metrics::new(10);
        let labels = HttpLabels {
            direction: Direction::Inbound,
            namespace: "shop",
            service: "users",
            route: "",
            protocol: Protocol::Http1,
            mtls: true,
            peer: None,
        };
        let (record, shares) = (Record::new(metrics.http(labels)), metrics.shares());
        advance(Duration::from_millis(2)).await;
        record.handed(); // it is being connected to
        advance(Duration::from_millis(10)).await;
        record.handed(); // it gets the head
        advance(Duration::from_millis(20)).await;
        record.answered(&shares, true);
        advance(Duration::from_millis(40)).await;
        record.answered(&shares, true); // the status in its trailers
        let text = metrics.scrape().unwrap();
        for (share, seconds) in [("proxy", "0.002"), ("peer", "0.03")] {
            let labels = r#"{direction="inbound",mtls="true"}"#;
            for line in [
                format!("weft_http_{share}_duration_seconds_sum{labels} {seconds}"),
                format!("weft_http_{share}_duration_seconds_count{labels} 1"),
            ] {
                assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
            }
        }
    }
}
