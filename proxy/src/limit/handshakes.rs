//! TLS handshakes under way: a bound for all, and a share for each peer.
//!
//! Whoever reaches the port may begin a handshake and never end it. It waits within its own share, so that places are left
//! for those who mean it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::time::{error::Elapsed, timeout};

use super::{PeerCap, PeerFull, PeerPermit, Slot, Slots};

/// The part of all places that one peer may take, waiting ones included.
const SHARE: usize = 4;

/// So many at the same time, and of each peer a quarter as many. Shared by all workers.
#[derive(Debug)]
pub struct Handshakes {
    slots: Slots,
    shares: Arc<PeerCap>,
}

/// A handshake that may go on; its place is free again when this is dropped.
#[derive(Debug)]
pub struct HandshakePermit {
    _slot: Slot,
    _share: PeerPermit,
}

/// A handshake that may not begin.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The peer has begun as many as it may.
    #[error(transparent)]
    Share(#[from] PeerFull),
    /// No place became free in time.
    #[error("no place for a handshake became free in time")]
    Wait(#[from] Elapsed),
}

impl Handshakes {
    /// None yet. `limit`: how many, at least 1.
    pub fn new(limit: usize) -> Self {
        Self { slots: Slots::new(limit), shares: PeerCap::new((limit / SHARE).max(1)) }
    }

    /// Waits for a place, at most so long. Cancel-safe, but the turn is lost.
    ///
    /// # Errors
    /// [`HandshakeError`]; at once if the peer has taken its share.
    pub async fn begin(&self, peer: IpAddr, wait: Duration) -> Result<HandshakePermit, HandshakeError> {
        let share = self.shares.enter(peer)?;
        let slot = timeout(wait, self.slots.take()).await?;
        Ok(HandshakePermit { _slot: slot, _share: share })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const WAIT: Duration = Duration::from_secs(2);

    fn peer(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_one_peer_leaves_places_for_others_at_once() {
        let handshakes = Handshakes::new(64);
        let flood = join_all((0..1_000).map(|_| handshakes.begin(peer(1), WAIT))).await;
        assert_eq!(flood.iter().filter(|begun| begun.is_ok()).count(), 16);
        let start = tokio::time::Instant::now();
        let _other = handshakes.begin(peer(2), WAIT).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(flood);
        assert!(handshakes.begin(peer(1), WAIT).await.is_ok(), "its places are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_place_is_bounded_and_gives_the_share_back() {
        let handshakes = Handshakes::new(1);
        let held = handshakes.begin(peer(1), WAIT).await.unwrap();
        assert!(matches!(handshakes.begin(peer(2), WAIT).await, Err(HandshakeError::Wait(_))));
        drop(held);
        assert!(handshakes.begin(peer(2), WAIT).await.is_ok());
    }
}
