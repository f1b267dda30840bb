//! Slow start: how much of its share an endpoint that has just come may have.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::nanoseconds;

/// What an endpoint gets at first, as a part of its share: enough to warm up by.
const FIRST: f64 = 0.1;
/// It has not answered yet.
const NEVER: u64 = u64::MAX;

/// How warm one endpoint is: its caches are empty at first, its code not compiled, its connections not made.
#[derive(Debug)]
pub(super) struct Warmth {
    /// Zero: it was warm from the beginning.
    window: Duration,
    /// When it answered first, in nanoseconds since the balancer's epoch.
    since: AtomicU64,
}

impl Warmth {
    /// Warm from the beginning: nobody knows better.
    pub(super) fn warm() -> Self {
        Self::growing(Duration::ZERO)
    }

    /// Cold until it answers first, then warmer for so long.
    pub(super) fn growing(window: Duration) -> Self {
        Self { window, since: AtomicU64::new(NEVER) }
    }

    /// It has answered.
    pub(super) fn answered(&self, now: Duration) {
        if self.window > Duration::ZERO && self.since.load(Relaxed) == NEVER {
            self.since.store(nanoseconds(now), Relaxed);
        }
    }

    /// What it may have of its share: from a tenth, by and by, to 1.
    pub(super) fn part(&self, now: Duration) -> f64 {
        if self.window.is_zero() {
            return 1.0;
        }
        let warm_for = nanoseconds(now).saturating_sub(self.since.load(Relaxed));
        (warm_for as f64 / self.window.as_nanos() as f64).clamp(FIRST, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn an_endpoint_warms_up_from_its_first_answer() {
        let (warmth, second) = (Warmth::growing(WINDOW), Duration::from_secs(1));
        assert!((warmth.part(1_000 * second) - FIRST).abs() < 1e-9, "it has not answered");
        warmth.answered(1_000 * second);
        warmth.answered(1_004 * second);
        let parts = [1_000, 1_005, 1_010, 2_000].map(|at| warmth.part(at * second));
        assert_eq!(parts, [FIRST, 0.5, 1.0, 1.0]);
        assert!((Warmth::warm().part(second) - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn it_only_grows_warmer(mut at in prop::collection::vec(0_u64..30_000, 2..40), first in 0_usize..40) {
            at.sort_unstable();
            let warmth = Warmth::growing(WINDOW);
            let mut last = 0.0;
            for (index, milliseconds) in at.into_iter().enumerate() {
                let now = Duration::from_millis(milliseconds);
                if index >= first {
                    warmth.answered(now);
                }
                let part = warmth.part(now);
                prop_assert!(part >= last && (FIRST..=1.0).contains(&part));
                last = part;
            }
        }
    }
}
