//! A cap for each address by itself. Asked once per connection: a short lock is cheap enough.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// At most so many at the same time from each address.
pub struct PeerCap {
    limit: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of an address's; it ends when this is dropped.
pub struct PeerPermit {
    cap: Arc<PeerCap>,
    peer: IpAddr,
}

impl PeerCap {
    /// `limit`: how many each address may have, at least 1.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), taken: Mutex::default() })
    }

    /// One more, if the address has room.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPermit> {
        let mut taken = self.taken();
        let of_peer = taken.entry(peer).or_default();
        if *of_peer >= self.limit {
            return None;
        }
        *of_peer += 1;
        Some(PeerPermit { cap: self.clone(), peer })
    }

    /// The count is right after each statement, so a panic elsewhere does not make it wrong.
    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut taken = self.cap.taken();
        let Some(of_peer) = taken.get_mut(&self.peer) else { return };
        *of_peer -= 1;
        if *of_peer == 0 {
            taken.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_address_has_its_own_room_and_nothing_is_kept_of_who_is_gone(
            limit in 1usize..4,
            steps in prop::collection::vec((0u8..3, any::<bool>()), 0..60),
        ) {
            let cap = PeerCap::new(limit);
            let mut held: [Vec<PeerPermit>; 3] = Default::default();
            for (peer, come) in steps {
                let of_peer = &mut held[usize::from(peer)];
                if come {
                    let entered = cap.enter([10, 0, 0, peer].into());
                    prop_assert_eq!(entered.is_some(), of_peer.len() < limit);
                    of_peer.extend(entered);
                } else {
                    of_peer.pop();
                }
                prop_assert_eq!(cap.taken().len(), held.iter().filter(|permits| !permits.is_empty()).count());
            }
        }
    }
}
