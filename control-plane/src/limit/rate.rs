//! How often each address may ask: so many a second, and after a pause some at once.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many seconds' worth may come at once.
const BURST_SECONDS: u32 = 4;
/// Addresses that are remembered before those are looked for that need not be any more.
const LOOK_OVER: usize = 1_024;

/// A rate for each address by itself (the generic cell rate algorithm: an address is remembered by when its debt is paid).
pub struct PeerRate {
    interval: Duration,
    debtors: Mutex<Debtors>,
}

struct Debtors {
    paid_at: HashMap<IpAddr, Instant>,
    look_over_at: usize,
}

impl PeerRate {
    /// `per_second`: how often each address may ask, at least once.
    pub fn new(per_second: u32) -> Self {
        let debtors = Debtors { paid_at: HashMap::new(), look_over_at: LOOK_OVER };
        Self { interval: Duration::from_secs(1) / per_second.max(1), debtors: Mutex::new(debtors) }
    }

    /// Whether the address may ask now. Who may not owes nothing for having tried.
    pub fn admit(&self, peer: IpAddr) -> bool {
        let now = Instant::now();
        let burst = Duration::from_secs(BURST_SECONDS.into()).saturating_sub(self.interval);
        let mut debtors = self.debtors.lock().unwrap_or_else(PoisonError::into_inner);
        let paid_at = debtors.paid_at.get(&peer).map_or(now, |paid_at| now.max(*paid_at));
        if paid_at - now > burst {
            return false;
        }
        debtors.paid_at.insert(peer, paid_at + self.interval);
        debtors.look_over(now);
        true
    }
}

impl Debtors {
    /// Forgets who owes nothing, each time that there are twice as many as after the last time.
    fn look_over(&mut self, now: Instant) {
        if self.paid_at.len() > self.look_over_at {
            self.paid_at.retain(|_, paid_at| *paid_at > now);
            self.look_over_at = (2 * self.paid_at.len()).max(LOOK_OVER);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn peer(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_may_ask_at_its_rate_and_another_at_its_own() {
        let rate = PeerRate::new(5);
        let admitted = |number| (0..1_000).filter(|_| rate.admit(peer(number))).count();
        assert_eq!(admitted(1), 20);
        assert_eq!(admitted(2), 20);
        advance(Duration::from_secs(1)).await;
        assert_eq!(admitted(1), 5);
        advance(Duration::from_secs(60)).await;
        assert_eq!(admitted(1), 20, "a long pause earns no more than that");
    }

    #[tokio::test(start_paused = true)]
    async fn who_owes_nothing_is_forgotten() {
        let rate = PeerRate::new(1);
        for number in 0..10_000 {
            assert!(rate.admit(peer(number)));
            advance(Duration::from_millis(10)).await;
        }
        assert!(rate.debtors.lock().unwrap().paid_at.len() <= LOOK_OVER + 1);
    }
}
