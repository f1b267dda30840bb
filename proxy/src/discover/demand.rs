//! Addresses that workers have asked for and the picture does not have: from the workers to the control thread.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Notify;

/// At most so many wait to be looked at; one that does not fit is asked for again by who waits for it.
const LIMIT: usize = 10_000;

/// The lock is taken only at a destination's first use, for as long as a set takes to grow by one.
#[derive(Debug, Default)]
pub(super) struct Demand {
    asked: Mutex<HashSet<SocketAddr>>,
    wake: Notify,
}

impl Demand {
    /// Asks for an address. Asking twice is asking once.
    pub(super) fn ask(&self, address: SocketAddr) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < LIMIT && asked.insert(address) {
            self.wake.notify_one();
        }
    }

    /// Waits until something is asked for. Cancel-safe. One waiter.
    pub(super) async fn asked(&self) {
        loop {
            if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            self.wake.notified().await;
        }
    }

    /// All that has been asked for since.
    pub(super) fn take(&self) -> HashSet<SocketAddr> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
