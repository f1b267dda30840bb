//! A cap for each peer by itself, so that one cannot take what is meant for all.
//!
//! Asked once per connection, never per request: a short lock is cheaper here than a table without one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::error::Reason;

/// At most so many at the same time from each address.
#[derive(Debug)]
pub struct PeerCap {
    limit: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of a peer's; it ends when this is dropped.
#[derive(Debug)]
pub struct PeerPermit {
    cap: Arc<PeerCap>,
    peer: IpAddr,
}

/// The peer has taken all of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} holds {limit}, the most that one peer may")]
pub struct PeerFull {
    /// Who.
    pub peer: IpAddr,
    /// How many that is.
    pub limit: usize,
}

impl PeerFull {
    /// [`Reason::Overloaded`].
    pub fn reason(self) -> Reason {
        Reason::Overloaded
    }
}

impl PeerCap {
    /// A cap that no peer has entered.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// Enters, if the peer has room.
    ///
    /// # Errors
    /// [`PeerFull`] if it has none.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<PeerPermit, PeerFull> {
        let mut taken = self.taken();
        let of_peer = taken.entry(peer).or_default();
        if *of_peer >= self.limit {
            if *of_peer == 0 {
                taken.remove(&peer);
            }
            return Err(PeerFull { peer, limit: self.limit });
        }
        *of_peer += 1;
        Ok(PeerPermit { cap: Arc::clone(self), peer })
    }

    /// How many peers are in, for metrics.
    pub fn peers(&self) -> usize {
        self.taken().len()
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

    #[test]
    fn one_peer_does_not_take_another_s_room() {
        let cap = PeerCap::new(1);
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let permit = cap.enter(one).unwrap();
        assert_eq!(cap.enter(one).unwrap_err(), PeerFull { peer: one, limit: 1 });
        assert!(cap.enter(other).is_ok());
        drop(permit);
        assert!(cap.enter(one).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_is_remembered_of_peers_that_are_gone(
            limit in 0usize..4,
            steps in prop::collection::vec((0u8..3, any::<bool>()), 0..60),
        ) {
            let cap = PeerCap::new(limit);
            let mut held: [Vec<PeerPermit>; 3] = Default::default();
            for (peer, come) in steps {
                let of_peer = &mut held[usize::from(peer)];
                if come {
                    let entered = cap.enter([10, 0, 0, peer].into());
                    prop_assert_eq!(entered.is_ok(), of_peer.len() < limit);
                    of_peer.extend(entered.ok());
                } else {
                    of_peer.pop();
                }
                prop_assert_eq!(cap.peers(), held.iter().filter(|permits| !permits.is_empty()).count());
            }
        }
    }
}
