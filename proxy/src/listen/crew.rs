//! The workers as a crew: how much each one carries, and handing a new connection to another.
//!
//! The kernel's hash is blind to load: of a few long-lived gRPC connections, most may sit on one worker for hours.

use std::{
    net::TcpStream,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::mpsc;

use crate::{address::ClientAddr, limit::Slot};

/// Connections on their way to a worker. When so many wait, it is too busy to be given more.
const INBOX: usize = 64;

/// How many connections each worker carries, of all its listeners together.
#[derive(Debug)]
pub struct Loads(Box<[AtomicUsize]>);

/// A worker's place in the crew of one port: what its accept loops hand over by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Member {
    index: usize,
    loads: Arc<Loads>,
    inboxes: Arc<[mpsc::Sender<HandOver>]>,
}

/// Where connections from other workers come to one.
#[derive(Debug)]
pub struct Inbox(pub(super) mpsc::Receiver<HandOver>);

/// A connection that one worker has accepted and another will serve.
#[derive(Debug)]
pub(super) struct HandOver {
    pub(super) stream: TcpStream,
    pub(super) client: ClientAddr,
    pub(super) presence: Presence,
}

/// A connection's share in its worker's load and in the connection limit; both are given back when it is dropped.
#[derive(Debug)]
pub struct Presence {
    loads: Arc<Loads>,
    index: usize,
    _slot: Slot,
}

/// The crew of one port. Ports share `loads`, as a worker carries the connections of all of them.
pub fn crew(loads: &Arc<Loads>) -> Vec<(Member, Inbox)> {
    let (senders, receivers): (Vec<_>, Vec<_>) = loads.0.iter().map(|_| mpsc::channel(INBOX)).unzip();
    let inboxes: Arc<[_]> = senders.into();
    let member = |index| Member { index, loads: Arc::clone(loads), inboxes: Arc::clone(&inboxes) };
    receivers.into_iter().enumerate().map(|(index, receiver)| (member(index), Inbox(receiver))).collect()
}

impl Loads {
    /// Workers that carry nothing yet.
    pub fn new(workers: NonZeroUsize) -> Arc<Self> {
        Arc::new(Self((0..workers.get()).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// What each worker carries, for metrics.
    pub fn each(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|load| load.load(Relaxed))
    }
}

impl Member {
    /// Counts a connection on this worker.
    pub(super) fn keep(&self, slot: Slot) -> Presence {
        self.presence(self.index, slot)
    }

    /// Room in the inbox of the worker that should have the next connection instead of this one, if there is such.
    pub(super) fn elsewhere(&self) -> Option<Transfer<'_>> {
        let mine = self.loads.0.get(self.index)?.load(Relaxed);
        let (least_index, least) = self.loads.each().enumerate().min_by_key(|(_, load)| *load)?;
        if !well_ahead(mine, least) {
            return None;
        }
        // A full inbox, or a worker that has stopped: the connection stays here.
        let room = self.inboxes.get(least_index)?.try_reserve().ok()?;
        Some(Transfer { member: self, index: least_index, room })
    }

    fn presence(&self, index: usize, slot: Slot) -> Presence {
        if let Some(load) = self.loads.0.get(index) {
            load.fetch_add(1, Relaxed);
        }
        Presence { loads: Arc::clone(&self.loads), index, _slot: slot }
    }
}

/// A hand-over wakes the other thread, which is dear for a short connection: one more than the other is no reason, and
/// neither is a difference within an eighth, which the hash makes by itself.
fn well_ahead(mine: usize, least: usize) -> bool {
    mine >= least + 2 + least / 8
}

/// Room for one connection in another worker's inbox.
pub(super) struct Transfer<'a> {
    member: &'a Member,
    index: usize,
    room: mpsc::Permit<'a, HandOver>,
}

impl Transfer<'_> {
    /// Hands the connection over; it counts on the other worker from now on.
    pub(super) fn send(self, stream: TcpStream, client: ClientAddr, slot: Slot) {
        let presence = self.member.presence(self.index, slot);
        self.room.send(HandOver { stream, client, presence });
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(load) = self.loads.0.get(self.index) {
            load.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limit::Slots;

    #[test]
    fn one_worker_keeps_everything() {
        let loads = Loads::new(NonZeroUsize::MIN);
        let (member, _inbox) = crew(&loads).remove(0);
        let _held: Vec<_> = (0..100).map(|_| member.keep(Slots::new(1).try_take().unwrap())).collect();
        assert!(member.elsewhere().is_none());
    }

    #[test]
    fn a_worker_that_has_stopped_is_given_nothing() {
        let loads = Loads::new(NonZeroUsize::new(2).unwrap());
        let mut all = crew(&loads);
        drop(all.remove(1));
        let (member, _inbox) = all.remove(0);
        let _held: Vec<_> = (0..3).map(|_| member.keep(Slots::new(1).try_take().unwrap())).collect();
        assert!(member.elsewhere().is_none());
    }

    #[test]
    fn a_presence_that_ends_is_counted_out() {
        let loads = Loads::new(NonZeroUsize::MIN);
        let (member, _inbox) = crew(&loads).remove(0);
        let presence = member.keep(Slots::new(1).try_take().unwrap());
        assert_eq!(loads.each().collect::<Vec<_>>(), [1]);
        drop(presence);
        assert_eq!(loads.each().collect::<Vec<_>>(), [0]);
    }

    proptest! {
        #[test]
        fn however_the_kernel_spreads_them_no_worker_is_well_ahead(spread in prop::collection::vec(0usize..3, 1..400)) {
            let mut targets = [0usize; 3];
            for index in spread {
                // As `elsewhere` decides.
                let least = targets.iter().enumerate().min_by_key(|(_, load)| **load).map_or(0, |(least, _)| least);
                let target = if well_ahead(targets[index], targets[least]) { least } else { index };
                targets[target] += 1;
            }
            let (least, most) = (targets.iter().min().unwrap(), targets.iter().max().unwrap());
            prop_assert!(!well_ahead(most - 1, *least), "{:?}", targets);
        }
    }
}
