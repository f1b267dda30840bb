//! Who may come in: what one address may take of the port before it has proven anything.

use std::{net::IpAddr, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::ListenerSettings;
use crate::{
    limit::{PeerCap, PeerPermit},
    listen::HANDSHAKE,
    telemetry::{Metrics, Over},
};

/// The part of all handshakes that one address may take, waiting ones included.
const SHARE: usize = 4;

/// Counts connections and handshakes. What is over its cap is closed at once: closing is all that it costs.
pub(super) struct Door {
    connections: Arc<PeerCap>,
    handshakes: Arc<Semaphore>,
    shares: Arc<PeerCap>,
    metrics: Arc<Metrics>,
}

/// A handshake that may go on; its place is free again when this is dropped.
pub(super) struct Handshake {
    _place: OwnedSemaphorePermit,
    _share: PeerPermit,
}

impl Door {
    pub(super) fn new(settings: &ListenerSettings, metrics: Arc<Metrics>) -> Arc<Self> {
        let places = settings.max_handshakes.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            connections: PeerCap::new(settings.connections_per_peer),
            handshakes: Arc::new(Semaphore::new(places)),
            shares: PeerCap::new(places / SHARE),
            metrics,
        })
    }

    /// One more connection, if the address may have it.
    pub(super) fn connection(&self, peer: IpAddr) -> Option<PeerPermit> {
        let permit = self.connections.enter(peer);
        if permit.is_none() {
            self.metrics.refused(Over::Connections);
        }
        permit
    }

    /// Waits for a place for a handshake, no longer than one may take. None: the address has its share, or it took too long.
    pub(super) async fn handshake(&self, peer: IpAddr) -> Option<Handshake> {
        let handshake = self.place(peer).await;
        if handshake.is_none() {
            self.metrics.refused(Over::Handshakes);
        }
        handshake
    }

    async fn place(&self, peer: IpAddr) -> Option<Handshake> {
        let share = self.shares.enter(peer)?;
        let place = timeout(HANDSHAKE, self.handshakes.clone().acquire_owned()).await.ok()?.ok()?;
        Some(Handshake { _place: place, _share: share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_one_address_leaves_places_for_others_at_once() {
        let settings = ListenerSettings { max_connections: 1_000, connections_per_peer: 100, max_handshakes: 64 };
        let metrics = Arc::new(Metrics::new().unwrap());
        let door = Door::new(&settings, metrics.clone());
        let (hostile, good) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let connections: Vec<_> = (0..500).filter_map(|_| door.connection(hostile)).collect();
        let handshakes = futures_util::future::join_all((0..500).map(|_| door.handshake(hostile))).await;
        assert_eq!((connections.len(), handshakes.iter().flatten().count()), (100, 16));
        assert!(metrics.text().unwrap().contains("weft_control_refused_total{what=\"handshake\"} 484"));
        let start = tokio::time::Instant::now();
        assert!(door.connection(good).is_some() && door.handshake(good).await.is_some());
        assert_eq!(start.elapsed(), std::time::Duration::ZERO);
        drop(handshakes);
        assert!(door.handshake(hostile).await.is_some(), "its places are free again");
    }
}
