//! How many requests wait for an endpoint of one destination.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many requests of one destination may wait for an endpoint at once. Default 1,024.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimit(pub usize);

impl Default for QueueLimit {
    fn default() -> Self {
        Self(1024)
    }
}

/// A place in the queue, given back on drop.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    pub(super) fn take(waiting: &'a AtomicUsize, limit: QueueLimit) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Relaxed) < limit.0).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
