//! A count with an end at which the next one waits its turn: accepted connections, handshakes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places, given out in the order in which they were asked for. Cheap to clone; shared by all workers.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Semaphore>);

/// A place; free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// That many free places, at most [`Semaphore::MAX_PERMITS`].
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }

    /// Waits for a place. Cancel-safe, but the turn is lost.
    pub async fn take(&self) -> Slot {
        #[expect(clippy::expect_used, reason = "the semaphore is ours, and nothing closes it")]
        let permit = Arc::clone(&self.0).acquire_owned().await.expect("never closed");
        Slot { _permit: permit }
    }

    /// A place if one is free.
    pub fn try_take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Slot { _permit: permit })
    }

    /// How many places are free, for metrics.
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_waits_gets_the_place_that_is_given_back() {
        let slots = Slots::new(1);
        let slot = slots.try_take().unwrap();
        assert!(slots.try_take().is_none());
        let mut waiting = Box::pin(slots.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(slot);
        let _slot = waiting.await;
        assert_eq!(slots.free(), 0);
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_nothing() {
        let slots = Slots::new(1);
        let slot = slots.take().await;
        drop(Box::pin(slots.take()).as_mut().now_or_never());
        drop(slot);
        assert_eq!(slots.free(), 1);
    }
}
