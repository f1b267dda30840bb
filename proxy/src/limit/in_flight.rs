//! A count with an end, shared by all workers: requests in flight. Never waits, takes no lock.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// At most so many at the same time. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Count>);

#[derive(Debug)]
struct Count {
    limit: usize,
    taken: AtomicUsize,
}

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Count>);

impl InFlight {
    /// None yet.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Count { limit, taken: AtomicUsize::new(0) }))
    }

    /// One more, if there is room.
    pub fn acquire(&self) -> Option<Permit> {
        // Counted first, and given back by the guard: two workers that both see the last place do not both get it.
        let permit = Permit(Arc::clone(&self.0));
        (self.0.taken.fetch_add(1, Relaxed) < self.0.limit).then_some(permit)
    }

    /// The most that may be.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many there are, for metrics. May read a few too many for an instant while some are being refused.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_permit_is_dropped() {
        let cap = InFlight::new(1);
        let permit = cap.acquire().unwrap();
        assert!(cap.acquire().is_none());
        drop(permit);
        assert!(cap.acquire().is_some());
        assert_eq!(cap.taken(), 0);
    }

    #[test]
    fn threads_together_never_hold_more_than_the_limit() {
        let (cap, inside, most) = (InFlight::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let Some(permit) = cap.acquire() else { continue };
                        most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                        inside.fetch_sub(1, Relaxed);
                        drop(permit);
                    }
                });
            }
        });
        assert!(most.load(Relaxed) <= 3);
        assert_eq!(cap.taken(), 0);
    }

    proptest! {
        #[test]
        fn any_order_of_coming_and_going_keeps_the_count_true(limit in 0usize..5, steps in prop::collection::vec(any::<bool>(), 0..50)) {
            let (cap, mut held) = (InFlight::new(limit), Vec::new());
            for come in steps {
                if come {
                    let entered = cap.acquire();
                    prop_assert_eq!(entered.is_some(), held.len() < limit);
                    held.extend(entered);
                } else {
                    held.pop();
                }
                prop_assert_eq!(cap.taken(), held.len());
            }
        }
    }
}
