//! What the client saw.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;

use super::{Call, CallError};

const LONGEST_US: u64 = 60_000_000;

/// Counts of a run, for all calls and for each kind.
#[derive(Debug)]
pub struct Stats(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    started: Option<Instant>,
    all: Tally,
    calls: BTreeMap<&'static str, Tally>,
    last_failure: Option<String>,
}

#[derive(Debug)]
struct Tally {
    failures: u64,
    times_us: Histogram<u64>,
}

/// What `GET /stats` answers. Failed requests are in `requests` and in the times too.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the services answered and the counts run.
    pub started: bool,
    /// Since the start.
    pub seconds: f64,
    /// Requests that have ended.
    pub requests: u64,
    /// Those without a good answer.
    pub failures: u64,
    /// Half were faster.
    pub p50_ms: f64,
    /// Of a hundred, 99 were faster.
    pub p99_ms: f64,
    /// By method and path.
    pub calls: BTreeMap<&'static str, CallReport>,
    /// The last request that failed, and why.
    pub last_failure: Option<String>,
}

/// The same figures for one kind of call.
#[derive(Debug, Serialize)]
pub struct CallReport {
    /// Requests that have ended.
    pub requests: u64,
    /// Those without a good answer.
    pub failures: u64,
    /// Half were faster.
    pub p50_ms: f64,
    /// Of a hundred, 99 were faster.
    pub p99_ms: f64,
}

impl Stats {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        let counts = Counts { started: None, all: Tally::new(), calls: BTreeMap::new(), last_failure: None };
        Self(Mutex::new(counts))
    }

    /// The run starts now.
    pub fn start(&self) {
        self.lock().started = Some(Instant::now());
    }

    /// One call has ended that was due at `due`.
    pub fn record(&self, call: Call, due: Instant, outcome: Result<(), &CallError>) {
        let took = due.elapsed().as_micros().try_into().unwrap_or(LONGEST_US);
        let mut counts = self.lock();
        counts.all.record(took, outcome.is_err());
        counts.calls.entry(call.name()).or_insert_with(Tally::new).record(took, outcome.is_err());
        if let Err(error) = outcome {
            counts.last_failure = Some(format!("{call}: {error}"));
        }
    }

    /// The figures up to now.
    pub fn report(&self) -> Report {
        let counts = self.lock();
        Report {
            started: counts.started.is_some(),
            seconds: counts.started.map_or(0.0, |started| started.elapsed().as_secs_f64()),
            requests: counts.all.times_us.len(),
            failures: counts.all.failures,
            p50_ms: counts.all.quantile_ms(0.5),
            p99_ms: counts.all.quantile_ms(0.99),
            calls: counts.calls.iter().map(|(name, tally)| (*name, tally.report())).collect(),
            last_failure: counts.last_failure.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    fn new() -> Self {
        #[expect(clippy::expect_used, reason = "1 to 60,000,000 at 3 digits are bounds that the histogram takes")]
        let times_us = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("bounds are right");
        Self { failures: 0, times_us }
    }

    fn record(&mut self, took_us: u64, failed: bool) {
        self.times_us.saturating_record(took_us);
        self.failures += u64::from(failed);
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.times_us.value_at_quantile(quantile) as f64 / 1000.0
    }

    fn report(&self) -> CallReport {
        CallReport {
            requests: self.times_us.len(),
            failures: self.failures,
            p50_ms: self.quantile_ms(0.5),
            p99_ms: self.quantile_ms(0.99),
        }
    }
}
