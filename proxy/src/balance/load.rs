//! Peak EWMA: what an endpoint's latency probably is now.
//!
//! A slower answer counts at once, a faster one by and by, and an estimate that nothing confirms fades, so that an
//! endpoint that was slow once is tried again. Of an endpoint that has not answered yet nothing is known: one request at
//! a time finds out, and its first answer is the estimate.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::nanoseconds;

/// How latency is estimated.
#[derive(Clone, Copy, Debug)]
pub struct LoadSettings {
    /// What an endpoint is taken for while its first request is under way. Default 30 ms.
    pub default_rtt: Duration,
    /// After this time a past answer counts for 1/e. Default 10 s.
    pub decay: Duration,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self { default_rtt: Duration::from_millis(30), decay: Duration::from_secs(10) }
    }
}

/// The estimate. Updates of several workers may overwrite each other, which costs one sample and nothing more.
#[derive(Debug)]
pub(super) struct Latency {
    settings: LoadSettings,
    /// Bits of an f64: nanoseconds, as they were at `updated`.
    estimate: AtomicU64,
    /// Nanoseconds since the balancer's epoch; [`NEVER`] before the first answer.
    updated: AtomicU64,
}

/// Nothing was observed yet.
const NEVER: u64 = u64::MAX;

impl Latency {
    pub(super) fn new(settings: LoadSettings) -> Self {
        let estimate = settings.default_rtt.as_nanos() as f64;
        Self { settings, estimate: AtomicU64::new(estimate.to_bits()), updated: AtomicU64::new(NEVER) }
    }

    /// Whether it rests on an answer, or on waiting for one.
    pub(super) fn known(&self) -> bool {
        self.updated.load(Relaxed) != NEVER
    }

    /// The estimate now, in nanoseconds.
    pub(super) fn estimate(&self, now: Duration) -> f64 {
        f64::from_bits(self.estimate.load(Relaxed)) * self.kept(now)
    }

    /// An answer took this long.
    pub(super) fn observe(&self, sample: Duration, now: Duration) {
        let kept = if self.known() { self.kept(now) } else { 0.0 };
        let sample = sample.as_nanos() as f64;
        let old = f64::from_bits(self.estimate.load(Relaxed));
        let new = if sample > old * kept { sample } else { old * kept + sample * (1.0 - kept) };
        self.estimate.store(new.to_bits(), Relaxed);
        self.updated.store(nanoseconds(now), Relaxed);
    }

    /// No answer came for at least this long; less than the estimate says nothing.
    pub(super) fn observe_at_least(&self, elapsed: Duration, now: Duration) {
        if elapsed.as_nanos() as f64 > self.estimate(now) {
            self.observe(elapsed, now);
        }
    }

    /// What an answer without success counts as: never as a fast one, as broken servers are quick to answer.
    pub(super) fn observe_failure(&self, elapsed: Duration, now: Duration) {
        self.observe_at_least(elapsed.max(self.settings.default_rtt), now);
    }

    fn kept(&self, now: Duration) -> f64 {
        let since = nanoseconds(now).saturating_sub(self.updated.load(Relaxed));
        (-(since as f64) / (self.settings.decay.as_nanos() as f64).max(1.0)).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: f64 = 1e6;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_fades() {
        let latency = Latency::new(LoadSettings::default());
        latency.observe(at(500), at(10));
        assert!((latency.estimate(at(10)) - 500.0 * MILLISECOND).abs() < 1.0);
        let later = latency.estimate(at(10_010)) / MILLISECOND;
        assert!((180.0..190.0).contains(&later), "500 / e, was {later}");
    }

    #[test]
    fn the_first_answer_is_the_estimate() {
        let latency = Latency::new(LoadSettings::default());
        assert!(!latency.known());
        assert!((latency.estimate(at(60_000)) - 30.0 * MILLISECOND).abs() < 1.0, "nothing fades that nobody observed");
        latency.observe(at(2), at(60_000));
        assert!(latency.known());
        assert!((latency.estimate(at(60_000)) - 2.0 * MILLISECOND).abs() < 1.0);
    }

    #[test]
    fn a_quick_failure_does_not_make_an_endpoint_look_fast() {
        let latency = Latency::new(LoadSettings::default());
        latency.observe(at(1), at(60_000));
        latency.observe_failure(at(0), at(60_000));
        assert!(latency.estimate(at(60_000)) >= 30.0 * MILLISECOND);
    }

    proptest! {
        #[test]
        fn the_estimate_stays_between_zero_and_the_slowest_answer(
            samples in prop::collection::vec((0_u64..5_000, 0_u64..20_000), 1..60),
        ) {
            let latency = Latency::new(LoadSettings::default());
            let (mut clock, mut slowest) = (0, 30);
            for (sample, pause) in samples {
                clock += pause;
                slowest = slowest.max(sample);
                latency.observe(at(sample), at(clock));
                let estimate = latency.estimate(at(clock));
                prop_assert!(estimate.is_finite() && estimate >= 0.0);
                prop_assert!(estimate <= slowest as f64 * MILLISECOND + 1.0);
            }
        }
    }
}
