//! The streams of a link, without IO: what frames from the peer (`deliver`) and calls of the streams' tasks (here) do to
//! them, and the frames that are to be sent for it. States and limits are specified in docs/mesh-transport.md.

mod credit;
mod deliver;
mod ending;
#[cfg(any(test, fuzzing))]
mod play;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

pub(super) use deliver::Delivered;
#[cfg(any(test, fuzzing))]
pub use play::{feed, play};
use slab::Slab;
use slot::{Over, Slot};

use super::{
    code::{Refusal, ResetCause},
    error::{LinkError, OpenError, StreamError},
    frames::{self, Flags, Frame, Kind},
    inbox::Received,
    limits::{BACKLOG_OPEN, CONNECTION_WINDOW, CONNECTION_WINDOW_MOST},
    open::Open,
};
use crate::{buffer, hash::QuickMap};

/// Who opens streams: the side that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Opener,
    Acceptor,
}

/// A stream, to its task: where it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    at: usize,
    id: u32,
}

/// The streams of one link.
pub(super) struct Mux {
    side: Side,
    most_streams: usize,
    slots: Slab<Slot>,
    /// A peer that chooses ids that collide makes a look-up as slow as its own streams are many, and those are limited.
    by_id: QuickMap<u32, usize>,
    /// The latest id that was opened.
    last_id: u32,
    /// Frames for the next write.
    plain: Vec<u8>,
    /// How many bytes the last write had: the next one may have as many.
    usual: usize,
    /// The number of the next write.
    batch: u64,
    /// Streams that wait for room in the next write, or for the connection's credit.
    line: VecDeque<Key>,
    /// DATA that the peer takes still, all streams together.
    credit: u32,
    /// DATA that we take, all streams together, and what this may grow to.
    window: u32,
    window_most: u32,
    /// DATA that came and was not announced as credit again.
    unreturned: u32,
    /// Of those, what is done with: to be announced.
    returned: u32,
    /// Bytes of heads and trailers in all inboxes.
    heads: usize,
    /// A PING to answer: the latest, as one answer does for all.
    pong: Option<[u8; 8]>,
    pings: u64,
    drain: Drain,
    /// The peer said that it opens, or serves, no more.
    peer_drains: bool,
    lost: Option<LinkError>,
    /// Nothing that was written can have been read as frames.
    unread: bool,
}

/// How far this side's drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    /// The opener may have sent OPENs before it heard: until this PING is answered they are waited for.
    Asked {
        ping: u64,
    },
    /// None can come any more.
    Agreed,
}

impl Mux {
    pub(super) fn new(side: Side, most_streams: usize) -> Self {
        Self {
            side,
            most_streams,
            slots: Slab::new(),
            by_id: QuickMap::default(),
            last_id: 0,
            plain: Vec::new(),
            usual: 0,
            batch: 1,
            line: VecDeque::new(),
            credit: CONNECTION_WINDOW,
            window: CONNECTION_WINDOW,
            window_most: if side == Side::Opener { CONNECTION_WINDOW_MOST } else { CONNECTION_WINDOW },
            unreturned: 0,
            returned: 0,
            heads: 0,
            pong: None,
            pings: 0,
            drain: Drain::No,
            peer_drains: false,
            lost: None,
            unread: false,
        }
    }

    /// The peer is this worker itself: what waits here is of its own clients.
    pub(super) fn trust_peer(&mut self) {
        self.window_most = CONNECTION_WINDOW_MOST;
    }

    /// How many streams have a task.
    pub(super) fn streams(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn lost(&self) -> Option<&LinkError> {
        self.lost.as_ref()
    }

    /// Why no stream can be opened now, if so.
    pub(super) fn refuses(&self) -> Option<OpenError> {
        if let Some(lost) = &self.lost {
            return Some(OpenError::Dead(lost.clone()));
        }
        if self.is_draining() {
            return Some(OpenError::Draining);
        }
        let full = self.slots.len() >= self.most_streams || self.plain.len() >= BACKLOG_OPEN;
        full.then_some(OpenError::Full)
    }

    /// A new stream, its OPEN on the way.
    pub(super) fn open(&mut self, open: &Open) -> Result<Key, OpenError> {
        if let Some(error) = self.refuses() {
            return Err(error);
        }
        self.last_id += 1;
        let id = self.last_id;
        frames::put_with(self.out(), Kind::OPEN, id, |out| open.put(out));
        Ok(self.add(id))
    }

    fn add(&mut self, id: u32) -> Key {
        let at = self.slots.insert(Slot::new(id, self.batch));
        self.by_id.insert(id, at);
        Key { at, id }
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.at).filter(|slot| slot.id == key.id)
    }

    /// Sends a frame of a stream, unless our half of it is over (false).
    pub(super) fn send(&mut self, key: Key, kind: Kind, flags: Flags, payload: &[u8]) -> bool {
        let (lost, answers) = (self.lost.is_some(), self.side == Side::Acceptor);
        let Some(slot) = self.slot(key) else { return false };
        if lost || slot.finished || slot.over.is_some() {
            return false;
        }
        slot.finished = flags.has(Flags::END);
        slot.accepted |= answers;
        Frame { kind, flags, stream: key.id, payload }.put(self.out());
        true
    }

    /// Tells the opener that the app took the stream, if nothing has told it yet.
    pub(super) fn accept(&mut self, key: Key) {
        if self.side == Side::Acceptor && self.slot(key).is_some_and(|slot| !slot.accepted) {
            self.send(key, Kind::ACCEPT, Flags::NONE, &[]);
        }
    }

    /// Tells the opener that nothing reached the app. After an answer has begun it is a reset.
    pub(super) fn refuse(&mut self, key: Key, refusal: Refusal) {
        if self.side == Side::Opener || self.slot(key).is_none_or(|slot| slot.accepted) {
            return self.reset(key, ResetCause::Protocol);
        }
        self.send(key, Kind::REFUSE, Flags::END, &refusal.code().to_be_bytes());
        if let Some(slot) = self.slot(key) {
            slot.end(Over::Refused(refusal));
        }
    }

    /// Breaks a stream off; what came and was not read stays readable.
    pub(super) fn reset(&mut self, key: Key, cause: ResetCause) {
        let Some(slot) = self.slot(key).filter(|slot| slot.over.is_none()) else { return };
        let open = slot.is_open();
        slot.end(Over::Reset(cause));
        if open {
            self.put_reset(key.id, cause);
        }
    }

    fn put_reset(&mut self, id: u32, cause: ResetCause) {
        if self.lost.is_none() {
            let payload = cause.code().to_be_bytes();
            Frame { kind: Kind::RESET, flags: Flags::NONE, stream: id, payload: &payload }.put(self.out());
        }
    }

    /// A stream's task is done with it. What is not over is cancelled.
    pub(super) fn close(&mut self, key: Key) {
        if self.slot(key).is_none() {
            return;
        }
        let slot = self.slots.remove(key.at);
        self.by_id.remove(&key.id);
        self.heads -= slot.heads;
        if slot.over.is_none() && slot.is_open() {
            self.put_reset(key.id, ResetCause::Cancelled);
        }
        self.give_back(slot.held);
        if slot.granted > 0 {
            self.credit += slot.granted; // Granted and never used: others may.
            self.wake_line();
        }
    }

    /// What came, all of it; what came before a reset comes before its error.
    pub(super) fn poll_received(&mut self, key: Key, cx: &Context<'_>) -> Poll<Result<Received, StreamError>> {
        let Some(slot) = self.slot(key) else { return Poll::Ready(Err(GONE)) };
        if slot.inbox.is_empty() {
            slot.wait_to_read(cx);
            return self.fate(key).map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        let heads = std::mem::take(&mut slot.heads);
        let received = slot.inbox.take();
        self.heads -= heads;
        Poll::Ready(Ok(received))
    }

    /// Puts back what was taken and not looked at.
    pub(super) fn put_back(&mut self, key: Key, received: Received) {
        let Some(slot) = self.slot(key) else { return };
        let heads = received.heads();
        slot.inbox.put_back(received);
        slot.heads += heads;
        self.heads += heads;
    }

    /// How much DATA came, and how much was sent.
    pub(super) fn carried(&mut self, key: Key) -> (u64, u64) {
        self.slot(key).map_or((0, 0), |slot| slot.carried)
    }

    pub(super) fn peer_has_ended(&mut self, key: Key) -> bool {
        self.slot(key).is_none_or(|slot| slot.ended)
    }

    pub(super) fn is_accepted(&mut self, key: Key) -> bool {
        self.slot(key).is_some_and(|slot| slot.accepted)
    }

    /// Whether the peer's app took the stream.
    pub(super) fn poll_accepted(&mut self, key: Key, cx: &Context<'_>) -> Poll<Result<(), StreamError>> {
        let Some(slot) = self.slot(key) else { return Poll::Ready(Err(GONE)) };
        if slot.accepted {
            return Poll::Ready(Ok(()));
        }
        slot.wait_to_read(cx);
        self.fate(key).map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }

    /// Bytes that wait for a write.
    pub(super) fn backlog(&self) -> usize {
        self.plain.len()
    }

    /// Whether there is something to write.
    pub(super) fn wants_write(&self) -> bool {
        !self.plain.is_empty() || self.pong.is_some()
    }

    /// What is to be written now: from here on it counts as handed to the socket. Whoever has it gives its memory back.
    pub(super) fn take_batch(&mut self) -> Vec<u8> {
        if let Some(pong) = self.pong.take() {
            Frame { kind: Kind::PING, flags: Flags::ACK, stream: 0, payload: &pong }.put(self.out());
        }
        self.batch += 1;
        self.wake_line();
        self.usual = self.plain.len();
        std::mem::take(&mut self.plain)
    }

    /// To append a frame to.
    fn out(&mut self) -> &mut Vec<u8> {
        if self.plain.capacity() == 0 {
            self.plain = buffer::take(self.usual);
        }
        &mut self.plain
    }
}

/// What a task is told whose stream is no more; a `Stream` keeps its own alive.
const GONE: StreamError = StreamError::Reset(ResetCause::Cancelled);
