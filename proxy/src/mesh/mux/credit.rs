//! Credit: how much DATA may be sent, by a stream, by the connection, and in one write.

use std::task::{Context, Poll};

use super::{GONE, Key, Mux};
use crate::mesh::{
    error::StreamError,
    frames::{Flags, Frame, Kind},
    limits::{BACKLOG, CONNECTION_WINDOW, PIECE, STREAM_TURN, STREAM_WINDOW},
};

/// How much is taken before it is announced: often enough that a sender does not stall, seldom enough to cost nothing.
const STREAM_ANNOUNCE: u32 = STREAM_WINDOW / 2;
const CONNECTION_ANNOUNCE: u32 = CONNECTION_WINDOW / 4;

impl Mux {
    /// How much of `want` may be sent now: what was granted and not yet used counts, so asking twice takes nothing twice.
    pub(in crate::mesh) fn poll_credit(
        &mut self,
        key: Key,
        want: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<usize, StreamError>> {
        if let Some(error) = self.fate(key) {
            return Poll::Ready(Err(error));
        }
        let (batch, room, connection) = (self.batch, BACKLOG.saturating_sub(self.plain.len()), self.credit);
        let Some(slot) = self.slot(key) else { return Poll::Ready(Err(GONE)) };
        if slot.turn != batch {
            (slot.turn, slot.turn_left) = (batch, STREAM_TURN);
        }
        let want = want.min(PIECE) as u32;
        let shared = connection.min(slot.turn_left).min(room as u32);
        let more = want.saturating_sub(slot.granted).min(slot.credit).min(shared);
        slot.credit -= more;
        slot.turn_left -= more;
        slot.granted += more;
        let granted = slot.granted.min(want);
        let in_line = granted == 0 && want > 0 && shared == 0 && !std::mem::replace(&mut slot.in_line, true);
        if granted == 0 && want > 0 {
            slot.wait_to_write(cx);
        }
        self.credit -= more;
        if in_line {
            self.line.push_back(key);
        }
        if granted == 0 && want > 0 { Poll::Pending } else { Poll::Ready(Ok(granted as usize)) }
    }

    /// Sends DATA that was granted.
    pub(in crate::mesh) fn data(&mut self, key: Key, bytes: &[u8], end: bool) {
        // A grant that is not used, as the stream is over, is given to others when it closes.
        if self.send(key, Kind::DATA, Flags::end(end), bytes)
            && let Some(slot) = self.slot(key)
        {
            debug_assert!(bytes.len() <= slot.granted as usize, "data without credit");
            slot.granted = slot.granted.saturating_sub(bytes.len() as u32);
            slot.carried.1 += bytes.len() as u64;
        }
    }

    /// The app took `count` bytes of DATA: in time, the peer may send as many more.
    pub(in crate::mesh) fn taken(&mut self, key: Key, count: usize) {
        let Some(slot) = self.slot(key) else { return };
        let count = slot.held.min(u32::try_from(count).unwrap_or(u32::MAX));
        slot.held -= count;
        slot.returned += count;
        if slot.returned >= STREAM_ANNOUNCE && !slot.ended && slot.over.is_none() {
            let announced = std::mem::take(&mut slot.returned);
            slot.unreturned -= announced;
            self.put_credit(key.id, announced);
        }
        self.give_back(count);
    }

    /// Bytes that came are done with, as far as the connection is concerned.
    pub(super) fn give_back(&mut self, count: u32) {
        self.returned += count;
        if self.returned >= CONNECTION_ANNOUNCE {
            let announced = std::mem::take(&mut self.returned);
            self.unreturned -= announced;
            self.put_credit(0, announced);
        }
    }

    /// Streams whose apps do not read hold half of what we take: as much more is taken, for the others.
    pub(super) fn widen(&mut self) {
        let more = CONNECTION_WINDOW.min(self.window_most - self.window);
        if more > 0 && self.held() > self.window / 2 {
            self.window += more;
            self.put_credit(0, more);
        }
    }

    /// DATA that waits for apps.
    fn held(&self) -> u32 {
        self.unreturned - self.returned
    }

    /// Whether the peer takes no DATA on any stream, or we take none.
    pub(in crate::mesh) fn is_blocked(&self) -> bool {
        self.credit == 0 || self.held() + STREAM_WINDOW > self.window
    }

    /// There is room again: those who wait ask again, in the order in which they came.
    pub(super) fn wake_line(&mut self) {
        for _ in 0..self.line.len() {
            let Some(key) = self.line.pop_front() else { return };
            if let Some(slot) = self.slot(key) {
                slot.in_line = false;
                slot.wake_writer();
            }
        }
    }

    fn put_credit(&mut self, stream: u32, count: u32) {
        if self.lost.is_none() {
            let payload = count.to_be_bytes();
            Frame { kind: Kind::CREDIT, flags: Flags::NONE, stream, payload: &payload }.put(self.out());
        }
    }
}
