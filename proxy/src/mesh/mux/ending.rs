//! How streams and the link end: drains, the loss of the link, and what it proves about each stream.

use super::{Drain, Key, Mux, Over, Side};
use crate::mesh::{
    error::{LinkError, StreamError},
    frames::{Flags, Frame, Kind},
    limits::MAX_ID,
};

impl Mux {
    pub(in crate::mesh) fn is_draining(&self) -> bool {
        self.peer_drains || self.drain != Drain::No || self.last_id == MAX_ID
    }

    /// Whether a drain has come to its end: nothing is open, and nothing can be opened.
    pub(in crate::mesh) fn is_drained(&self) -> bool {
        self.slots.is_empty() && self.is_draining() && !self.is_drain_unanswered()
    }

    /// Whether the peer has still to say that it has heard of the drain.
    pub(in crate::mesh) fn is_drain_unanswered(&self) -> bool {
        matches!(self.drain, Drain::Asked { .. })
    }

    /// The peer's word is no longer waited for.
    pub(in crate::mesh) fn drain_without_answer(&mut self) {
        if self.is_drain_unanswered() {
            self.drain = Drain::Agreed;
        }
    }

    /// Why a stream cannot go on, if so.
    pub(in crate::mesh) fn fate(&mut self, key: Key) -> Option<StreamError> {
        let delivered = self.was_written(key);
        match self.slot(key)?.over {
            Some(Over::GoneAway) => Some(StreamError::Lost { delivered: false, cause: LinkError::GoneAway }),
            Some(Over::Refused(refusal)) => Some(StreamError::Refused(refusal)),
            Some(Over::Reset(cause)) => Some(StreamError::Reset(cause)),
            None => self.lost.clone().map(|cause| StreamError::Lost { delivered, cause }),
        }
    }

    /// Whether any byte of a stream that was opened here can have reached the peer as a frame.
    pub(in crate::mesh) fn was_written(&self, key: Key) -> bool {
        let slot = self.slots.get(key.at).filter(|slot| slot.id == key.id);
        !self.unread && slot.is_some_and(|slot| slot.batch < self.batch)
    }

    /// Takes no new streams; those that are open may finish.
    pub(in crate::mesh) fn start_drain(&mut self) {
        if self.drain != Drain::No || self.lost.is_some() {
            return;
        }
        if self.side == Side::Opener {
            self.drain = Drain::Agreed;
            return self.put_goaway(0);
        }
        self.put_goaway(MAX_ID);
        let ping = self.ping();
        self.drain = Drain::Asked { ping };
    }

    /// Says which streams were taken, before the connection is closed from this side.
    pub(in crate::mesh) fn say_goodbye(&mut self) {
        let last = if self.side == Side::Acceptor { self.last_id } else { 0 };
        self.put_goaway(last);
    }

    fn put_goaway(&mut self, last: u32) {
        let payload = last.to_be_bytes();
        Frame { kind: Kind::GOAWAY, flags: Flags::NONE, stream: 0, payload: &payload }.put(self.out());
    }

    /// Asks the peer for a sign of life; gives the PING's number.
    pub(in crate::mesh) fn ping(&mut self) -> u64 {
        self.pings += 1;
        let payload = self.pings.to_be_bytes();
        Frame { kind: Kind::PING, flags: Flags::NONE, stream: 0, payload: &payload }.put(self.out());
        self.pings
    }

    /// The link is over: every task that waits is told. `unread`: the peer has provably read no frame.
    pub(in crate::mesh) fn lose(&mut self, cause: LinkError, unread: bool) {
        if self.lost.is_some() {
            return;
        }
        self.unread = unread;
        self.lost = Some(cause);
        self.plain = Vec::new();
        self.slots.iter().for_each(|(_, slot)| slot.wake());
    }
}
