//! A choice that was made, as a guard: it counts as in flight until it is dropped.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{Endpoint, breaker::Admission};
use crate::telemetry::EjectionCause;

/// An endpoint chosen for one request or connection. Keep it until the exchange is over.
///
/// Say [`success`](Self::success), [`failure`](Self::failure) or [`refused`](Self::refused) as soon as that is known.
/// Dropped without a word, it was cancelled: the counts are given back, and that it took long is remembered.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    admission: Admission,
    started: Instant,
    responded: Option<Instant>,
    /// How long it takes says how quick the endpoint is.
    measured: bool,
    judged: bool,
}

impl Lease {
    pub(super) fn begin(endpoint: &Arc<Endpoint>, now: Instant) -> Option<Self> {
        let admission = endpoint.breaker.admit(endpoint.clock(now))?;
        endpoint.in_flight.fetch_add(1, Relaxed);
        Some(Self {
            endpoint: Arc::clone(endpoint),
            admission,
            started: now,
            responded: None,
            measured: true,
            judged: false,
        })
    }

    /// Where to go.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// It waits for a connection to be made first: a success will say nothing of how quick the endpoint is.
    pub fn unmeasured(&mut self) {
        self.measured = false;
    }

    /// The head of the answer is there: stops the clock that measures latency.
    pub fn responded(&mut self) {
        self.responded.get_or_insert_with(Instant::now);
    }

    /// The exchange went well (for a connection: it was taken).
    pub fn success(&mut self) {
        let ended = self.judge();
        let clock = self.endpoint.clock(ended);
        if self.measured {
            self.endpoint.warmth.answered(clock);
            self.endpoint.latency.observe(ended.saturating_duration_since(self.started), clock);
        }
        self.endpoint.breaker.success(clock);
    }

    /// The endpoint answered with a failure of its own, or not in time, or broke off. Returns why that ejected it, if it
    /// did, to be counted.
    pub fn failure(&mut self) -> Option<EjectionCause> {
        let ended = self.judge();
        let clock = self.endpoint.clock(ended);
        self.endpoint.latency.observe_failure(ended.saturating_duration_since(self.started), clock);
        self.endpoint.breaker.failure(self.admission, clock)
    }

    /// The endpoint took no connection, or is not who it should be. Ejects it at once; returns
    /// why, if a penalty began, to be counted.
    pub fn refused(&mut self) -> Option<EjectionCause> {
        let ended = self.judge();
        self.endpoint.breaker.refused(self.admission, self.endpoint.clock(ended))
    }

    /// When it was chosen.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How long the endpoint was waited for: until the head of its answer or, without one, until it was judged; so far,
    /// if neither has come.
    pub fn waited(&self) -> Duration {
        let ended = self.responded.unwrap_or_else(Instant::now);
        ended.saturating_duration_since(self.started)
    }

    fn judge(&mut self) -> Instant {
        self.judged = true;
        *self.responded.get_or_insert_with(Instant::now)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.release(self.admission);
        if !self.judged {
            let ended = self.responded.unwrap_or_else(Instant::now);
            let elapsed = ended.saturating_duration_since(self.started);
            self.endpoint.latency.observe_at_least(elapsed, self.endpoint.clock(ended));
        }
    }
}
