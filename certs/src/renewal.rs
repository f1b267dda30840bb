//! When a leaf is renewed. Pure: the clock and the dice come from the caller.

use std::time::{Duration, SystemTime};

/// A leaf is renewed after this share of its life, at the earliest and at the latest: 70 % in the middle, spread so that
/// workloads that started together do not renew together.
const SHARE: std::ops::Range<f64> = 0.65..0.75;

/// When to renew a leaf that holds from `not_before` to `not_after`. `jitter`: 0.0–1.0, anew for each leaf.
///
/// Never before `now`, and before the leaf expires as long as `now` is; `now` when the leaf has expired. Never later than a
/// new leaf's would be: a clock that is behind the authority's, so that the leaf seems to begin only tomorrow, delays nothing.
pub fn renew_at(now: SystemTime, not_before: SystemTime, not_after: SystemTime, jitter: f64) -> SystemTime {
    let life = not_after.duration_since(not_before).unwrap_or(Duration::ZERO);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.5 };
    let share = SHARE.start + (SHARE.end - SHARE.start) * jitter;
    now.min(not_before).checked_add(life.mul_f64(share)).map_or(now, |at| at.max(now))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_day_long_leaf_is_renewed_after_about_seventeen_hours() {
        assert_eq!(renew_at(at(0), at(0), at(86_400), 0.5), at(60_480));
    }

    #[test]
    fn an_expired_leaf_is_renewed_at_once() {
        assert_eq!(renew_at(at(100), at(0), at(50), 1.0), at(100));
        assert_eq!(renew_at(at(100), at(50), at(0), f64::NAN), at(100));
    }

    #[test]
    fn a_clock_that_is_behind_delays_no_renewal() {
        assert_eq!(renew_at(at(0), at(86_400), at(2 * 86_400), 0.5), at(60_480));
    }

    proptest! {
        #[test]
        fn renewal_comes_before_expiry_and_not_before_now(
            now in 0_u64..2_000_000, not_before in 0_u64..1_000_000, life in 1_u64..1_000_000, jitter in -1.0..2.0
        ) {
            let not_after = at(not_before + life);
            let renewal = renew_at(at(now), at(not_before), not_after, jitter);
            prop_assert!(renewal >= at(now));
            prop_assert!(renewal < not_after || at(now) >= not_after);
            prop_assert!(renewal <= at(now) + Duration::from_secs(life).mul_f64(0.76), "whatever the clock says");
        }

        #[test]
        fn a_new_leaf_is_not_renewed_before_most_of_its_life_is_over(life in 10_u64..1_000_000, jitter in 0.0..1.0) {
            let renewal = renew_at(at(0), at(0), at(life), jitter);
            prop_assert!(renewal >= at(life * 6 / 10) && renewal <= at(life * 8 / 10));
        }
    }
}
