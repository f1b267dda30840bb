//! Waiting that is bounded in time and number: requests that wait for an endpoint.

use std::{pin::pin, time::Duration};

use futures_util::FutureExt;

use super::InFlight;
use crate::error::Reason;

/// So many may wait at the same time, and each of them so long.
#[derive(Debug)]
pub struct Queue {
    places: InFlight,
    wait: Duration,
}

/// Why waiting ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// As many wait already as may.
    #[error("{limit} are waiting already, the most that may")]
    Full {
        /// How many that is.
        limit: usize,
    },
    /// It did not come in time.
    #[error("nothing came within {wait:?}")]
    Timeout {
        /// How long was waited.
        wait: Duration,
    },
}

impl QueueError {
    /// Why the request fails then.
    pub fn reason(self) -> Reason {
        match self {
            Self::Full { .. } => Reason::Overloaded,
            Self::Timeout { .. } => Reason::NoEndpoints,
        }
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(places: usize, wait: Duration) -> Self {
        Self { places: InFlight::new(places), wait }
    }

    /// Waits for what is to come. What is there at once costs neither a place nor a timer.
    ///
    /// As cancel-safe as `ready` is; the place is free again when this is dropped.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn wait<T>(&self, ready: impl Future<Output = T>) -> Result<T, QueueError> {
        let mut ready = pin!(ready);
        if let Some(there) = ready.as_mut().now_or_never() {
            return Ok(there);
        }
        let _place = self.places.acquire().ok_or(QueueError::Full { limit: self.places.limit() })?;
        tokio::time::timeout(self.wait, ready).await.map_err(|_| QueueError::Timeout { wait: self.wait })
    }

    /// How many wait, for metrics.
    pub fn waiting(&self) -> usize {
        self.places.taken()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::Notify;

    use super::*;

    const WAIT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn what_is_there_needs_no_place() {
        assert_eq!(Queue::new(0, WAIT).wait(ready(7)).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_its_limit() {
        let queue = Queue::new(1, WAIT);
        let start = tokio::time::Instant::now();
        assert_eq!(queue.wait(pending::<()>()).await, Err(QueueError::Timeout { wait: WAIT }));
        assert_eq!(start.elapsed(), WAIT);
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_are_refused_at_once_and_the_others_go_on_waiting() {
        let (queue, notify) = (Queue::new(2, WAIT), Notify::new());
        let mut first = Box::pin(queue.wait(notify.notified()));
        let mut second = Box::pin(queue.wait(notify.notified()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(queue.wait(notify.notified()).await, Err(QueueError::Full { limit: 2 }));
        notify.notify_waiters();
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_its_place() {
        let queue = Queue::new(1, WAIT);
        let mut gives_up = Box::pin(queue.wait(pending::<()>()));
        assert!(gives_up.as_mut().now_or_never().is_none());
        assert_eq!(queue.waiting(), 1);
        drop(gives_up);
        assert_eq!(queue.waiting(), 0);
    }
}
