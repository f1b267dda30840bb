//! What became of the requests: a histogram of latencies, and the failures.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Counts requests that were due between `begin` and `end`.
pub struct Record {
    pub begin: Instant,
    pub end: Instant,
    latency: RefCell<Histogram<u64>>,
    failed: Cell<u64>,
    why: RefCell<Option<String>>,
}

/// What one run of the load generator says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Report {
    pub requests: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub most_us: f64,
}

impl Record {
    /// `warmup` and `seconds` from `now`.
    pub fn new(now: Instant, warmup: f64, seconds: f64) -> anyhow::Result<Self> {
        let begin = now + Duration::try_from_secs_f64(warmup)?;
        let end = begin + Duration::try_from_secs_f64(seconds)?;
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).context("make a histogram")?;
        Ok(Self { begin, end, latency: RefCell::new(latency), failed: Cell::new(0), why: RefCell::default() })
    }

    /// A right answer is there, now, to a request that was due at `due`.
    pub fn completed(&self, due: Instant) {
        if due >= self.begin && due < self.end {
            let nanoseconds = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.latency.borrow_mut().saturating_record(nanoseconds / 100);
        }
    }

    /// A request has no right answer, whenever it was due.
    pub fn failed(&self, why: &str) {
        self.failed_many(1, why);
    }

    pub fn failed_many(&self, count: u64, why: &str) {
        self.failed.set(self.failed.get() + count);
        if count > 0 {
            self.why.borrow_mut().get_or_insert_with(|| why.to_owned());
        }
    }

    pub fn report(&self) -> Report {
        let latency = self.latency.borrow();
        #[expect(clippy::cast_precision_loss, reason = "an hour in tenths of a microsecond is far below 2^52")]
        let at = |quantile| latency.value_at_quantile(quantile) as f64 / 10.0;
        Report {
            requests: latency.len(),
            failed: self.failed.get(),
            first_failure: self.why.borrow().clone(),
            seconds: (self.end.min(Instant::now()) - self.begin).as_secs_f64(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            most_us: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn latency_counts_from_when_the_request_was_due() {
        let record = Record::new(Instant::now(), 1.0, 1.0).unwrap();
        record.completed(Instant::now()); // warm-up
        let due = Instant::now() + Duration::from_millis(1500);
        tokio::time::advance(Duration::from_millis(1600)).await; // sent late, answered at once
        record.completed(due);
        let report = record.report();
        assert_eq!(report.requests, 1);
        assert!((report.p50_us - 100_000.0).abs() < 200.0, "{}", report.p50_us);
    }
}
