//! How many answers succeeded and failed lately: what the breaker's success rate is taken from.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::nanoseconds;

/// The window is forgotten by the tenth.
const BUCKETS: usize = 10;
/// A bucket is one number, so that workers that count at the same time lose nothing: which tenth since the epoch it is
/// for, and how many answers succeeded and failed in it.
const COUNT_BITS: u32 = 20;
const COUNT_MOST: u64 = (1 << COUNT_BITS) - 1;
const TENTH_MOST: u64 = (1 << (u64::BITS - 2 * COUNT_BITS)) - 1;

/// Answers of the last `length`, give or take a tenth of it.
#[derive(Debug)]
pub(super) struct Window {
    tenth: u64,
    buckets: [AtomicU64; BUCKETS],
}

/// How many answers there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let tenth = (nanoseconds(length) / BUCKETS as u64).max(1);
        Self { tenth, buckets: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// One more answer. At most a million of each kind are counted in a tenth.
    pub(super) fn count(&self, success: bool, now: Duration) {
        let tenth = self.tenth(now);
        let Some(bucket) = self.buckets.get((tenth % BUCKETS as u64) as usize) else { return };
        let add = |packed| {
            let (of, mut answers) = unpack(packed);
            if of != tenth {
                answers = Answers::default();
            }
            let counter = if success { &mut answers.succeeded } else { &mut answers.failed };
            *counter = (*counter + 1).min(COUNT_MOST);
            Some(pack(tenth, answers))
        };
        // The closure always has a new value.
        let _stored = bucket.fetch_update(Relaxed, Relaxed, add);
    }

    /// The answers of the window that ends now.
    pub(super) fn answers(&self, now: Duration) -> Answers {
        let tenth = self.tenth(now);
        let recent = |bucket: &AtomicU64| {
            let (of, answers) = unpack(bucket.load(Relaxed));
            (tenth.wrapping_sub(of) < BUCKETS as u64).then_some(answers)
        };
        self.buckets.iter().filter_map(recent).fold(Answers::default(), |sum, one| Answers {
            succeeded: sum.succeeded + one.succeeded,
            failed: sum.failed + one.failed,
        })
    }

    /// Nothing of what was counted is held against anybody any more.
    pub(super) fn forget(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }

    /// Begins at 1, as 0 is an empty bucket's; starts anew after ten million of them.
    fn tenth(&self, now: Duration) -> u64 {
        1 + (nanoseconds(now) / self.tenth) % TENTH_MOST
    }
}

impl Answers {
    pub(super) fn total(self) -> u64 {
        self.succeeded + self.failed
    }

    /// The share that succeeded; 1.0 of nothing.
    pub(super) fn success_rate(self) -> f64 {
        if self.total() == 0 { 1.0 } else { self.succeeded as f64 / self.total() as f64 }
    }

    /// Without these, which are among them.
    pub(super) fn without(self, other: Self) -> Self {
        let (succeeded, failed) = (self.succeeded, self.failed);
        Self { succeeded: succeeded.saturating_sub(other.succeeded), failed: failed.saturating_sub(other.failed) }
    }
}

fn pack(tenth: u64, answers: Answers) -> u64 {
    tenth << (2 * COUNT_BITS) | answers.succeeded << COUNT_BITS | answers.failed
}

fn unpack(packed: u64) -> (u64, Answers) {
    let answers = Answers { succeeded: (packed >> COUNT_BITS) & COUNT_MOST, failed: packed & COUNT_MOST };
    (packed >> (2 * COUNT_BITS), answers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn threads_together_lose_no_answer() {
        let window = Window::new(LENGTH);
        std::thread::scope(|scope| {
            for success in [true, false, true] {
                let window = &window;
                scope.spawn(move || (0..1_000).for_each(|_| window.count(success, at(1))));
            }
        });
        assert_eq!(window.answers(at(1)), Answers { succeeded: 2_000, failed: 1_000 });
        window.forget();
        assert_eq!(window.answers(at(1)), Answers::default());
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_came_within_the_window_give_or_take_a_tenth(
            steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..80),
        ) {
            let window = Window::new(LENGTH);
            let (mut clock, mut seen) = (0, Vec::new());
            for (pause, success) in steps {
                clock += pause;
                window.count(success, at(clock));
                seen.push((clock, success));
                let since = |age: u64| {
                    let recent = seen.iter().filter(move |(when, _)| clock - when < age);
                    recent.fold(Answers::default(), |sum, (_, success)| Answers {
                        succeeded: sum.succeeded + u64::from(*success),
                        failed: sum.failed + u64::from(!*success),
                    })
                };
                let (least, most, counted) = (since(9_000), since(10_000), window.answers(at(clock)));
                prop_assert!((least.succeeded..=most.succeeded).contains(&counted.succeeded), "{counted:?}");
                prop_assert!((least.failed..=most.failed).contains(&counted.failed), "{counted:?}");
                prop_assert!((0.0..=1.0).contains(&counted.success_rate()));
            }
        }
    }
}
