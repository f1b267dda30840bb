//! How old the picture is.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Never synced.
const NEVER: u64 = u64::MAX;
/// Connected and synced: as fresh as can be.
const LIVE: u64 = u64::MAX - 1;

/// Since when no control plane confirms the picture. Written by the control thread.
#[derive(Debug)]
pub(super) struct Freshness {
    epoch: Instant,
    /// Milliseconds since the epoch of the loss, or one of the two above.
    lost: AtomicU64,
}

impl Freshness {
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), lost: AtomicU64::new(NEVER) }
    }

    /// Everything has been sent.
    pub(super) fn synced(&self) {
        self.lost.store(LIVE, Relaxed);
    }

    /// The stream has ended. A picture that was stale before stays as stale as it was.
    pub(super) fn lost(&self) {
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(LIVE - 1);
        let _was_not_live = self.lost.compare_exchange(LIVE, now, Relaxed, Relaxed);
    }

    /// None: there has never been a whole picture.
    pub(super) fn age(&self) -> Option<Duration> {
        match self.lost.load(Relaxed) {
            NEVER => None,
            LIVE => Some(Duration::ZERO),
            lost => Some(self.epoch.elapsed().saturating_sub(Duration::from_millis(lost))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_age_counts_from_the_loss_of_a_synced_stream() {
        let freshness = Freshness::new();
        freshness.lost();
        assert_eq!(freshness.age(), None);
        freshness.synced();
        advance(Duration::from_secs(5)).await;
        assert_eq!(freshness.age(), Some(Duration::ZERO));
        freshness.lost();
        advance(Duration::from_secs(5)).await;
        freshness.lost(); // another try that did not get as far as synced
        advance(Duration::from_secs(5)).await;
        assert_eq!(freshness.age(), Some(Duration::from_secs(10)));
    }
}
