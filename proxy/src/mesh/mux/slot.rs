//! What is known of one stream.

use std::task::{Context, Waker};

use crate::mesh::{
    code::{Refusal, ResetCause},
    inbox::Inbox,
    limits::STREAM_WINDOW,
};

/// Why a stream is over before both its ends were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The peer serves no stream as late as this one.
    GoneAway,
    Refused(Refusal),
    Reset(ResetCause),
}

/// One stream's state.
pub(super) struct Slot {
    pub(super) id: u32,
    /// DATA that the peer takes still, beyond what is granted.
    pub(super) credit: u32,
    /// DATA that our task may send, of the stream's and the connection's credit.
    pub(super) granted: u32,
    /// DATA that came and was not announced as credit again.
    pub(super) unreturned: u32,
    /// Of those, what the app took: to be announced.
    pub(super) returned: u32,
    /// DATA that came and was not taken.
    pub(super) held: u32,
    /// DATA that came, and DATA that was sent, over all.
    pub(super) carried: (u64, u64),
    /// Bytes of heads and trailers in the inbox.
    pub(super) heads: usize,
    pub(super) inbox: Inbox,
    /// The peer's END came.
    pub(super) ended: bool,
    /// Our END went out.
    pub(super) finished: bool,
    /// ACCEPT, or what implies it, went out or came.
    pub(super) accepted: bool,
    pub(super) over: Option<Over>,
    /// In which write its OPEN is.
    pub(super) batch: u64,
    /// Which write `turn_left` is about.
    pub(super) turn: u64,
    /// DATA that may go into that write still.
    pub(super) turn_left: u32,
    /// It is in line for the next write.
    pub(super) in_line: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Slot {
    pub(super) fn new(id: u32, batch: u64) -> Self {
        Self {
            id,
            credit: STREAM_WINDOW,
            granted: 0,
            unreturned: 0,
            returned: 0,
            held: 0,
            carried: (0, 0),
            heads: 0,
            inbox: Inbox::default(),
            ended: false,
            finished: false,
            accepted: false,
            over: None,
            batch,
            turn: 0,
            turn_left: 0,
            in_line: false,
            reader: None,
            writer: None,
        }
    }

    /// Whether either side has not ended it.
    pub(super) fn is_open(&self) -> bool {
        !(self.ended && self.finished)
    }

    /// Ends it; the first reason stays.
    pub(super) fn end(&mut self, over: Over) {
        self.over.get_or_insert(over);
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.wake_reader();
        self.wake_writer();
    }

    pub(super) fn wake_reader(&self) {
        self.reader.iter().for_each(Waker::wake_by_ref);
    }

    pub(super) fn wake_writer(&self) {
        self.writer.iter().for_each(Waker::wake_by_ref);
    }

    pub(super) fn wait_to_read(&mut self, cx: &Context<'_>) {
        remember(&mut self.reader, cx);
    }

    pub(super) fn wait_to_write(&mut self, cx: &Context<'_>) {
        remember(&mut self.writer, cx);
    }
}

fn remember(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
