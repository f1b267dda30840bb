//! What came for a stream and waits for its task: frames, in which DATA next to DATA is one, to be written in one call.

use super::frames::{self, Flags, Frame, HEADER, Kind};
use crate::buffer::Buf;

/// What came on a stream, as its task sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The head of a message; `interim`: of a 1xx response, another follows.
    Head {
        /// As its codec wrote it.
        payload: &'a [u8],
        /// Another head follows.
        interim: bool,
        /// Nothing follows.
        end: bool,
    },
    /// Bytes of a body, never none. They are to be given back by [`super::Stream::taken`].
    Data {
        /// At most what one credit window holds.
        bytes: &'a [u8],
        /// Nothing follows.
        end: bool,
    },
    /// Fields after a body. Nothing follows.
    Trailers {
        /// As their codec wrote them.
        lines: &'a [u8],
    },
    /// The peer's half of the stream is over, without another byte.
    End,
}

impl Event<'_> {
    /// Whether nothing follows.
    pub fn end(&self) -> bool {
        match *self {
            Self::Head { end, .. } | Self::Data { end, .. } => end,
            Self::Trailers { .. } | Self::End => true,
        }
    }
}

/// What had come on a stream when its task asked. Dropping it drops what was not looked at.
#[derive(Debug, Default)]
pub struct Received {
    frames: Buf,
    /// Bytes of the event that was handed out last.
    shown: usize,
}

impl Received {
    /// The next event, in the order of the wire.
    #[expect(clippy::should_implement_trait, reason = "the event borrows the buffer, which no iterator can lend")]
    pub fn next(&mut self) -> Option<Event<'_>> {
        self.frames.consume(std::mem::take(&mut self.shown));
        let frame = frames::first(self.frames.filled()).ok().flatten()?;
        self.shown = frame.size();
        Some(event(frame))
    }

    /// The next event, which stays the next.
    pub fn peek(&mut self) -> Option<Event<'_>> {
        self.frames.consume(std::mem::take(&mut self.shown));
        frames::first(self.frames.filled()).ok().flatten().map(event)
    }

    /// Bytes of heads and trailers that were not looked at.
    pub(super) fn heads(&self) -> usize {
        let mut rest = self.frames.filled().get(self.shown..).unwrap_or_default();
        let mut heads = 0;
        while let Ok(Some(frame)) = frames::first(rest) {
            heads += if frame.kind == Kind::DATA { 0 } else { frame.size() };
            rest = &rest[frame.size()..];
        }
        heads
    }

    /// Whether there is nothing that was not looked at.
    pub fn is_empty(&self) -> bool {
        self.frames.len() == self.shown
    }
}

fn event(frame: Frame<'_>) -> Event<'_> {
    let (payload, end) = (frame.payload, frame.end());
    match frame.kind {
        Kind::HEAD => Event::Head { payload, interim: frame.flags.has(Flags::INTERIM), end },
        Kind::TRAILERS => Event::Trailers { lines: payload },
        _ if payload.is_empty() => Event::End,
        _ => Event::Data { bytes: payload, end },
    }
}

/// Frames that wait.
#[derive(Default)]
pub(super) struct Inbox {
    buf: Buf,
    /// Bytes that lie before the last frame, if that is DATA.
    data_at: Option<usize>,
}

impl Inbox {
    /// Adds a HEAD, DATA or TRAILERS.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        let data = frame.kind == Kind::DATA;
        if data && frame.payload.is_empty() && !frame.end() {
            return; // It says nothing.
        }
        if let Some(at) = self.data_at.filter(|_| data)
            && self.extend(at, frame).is_some()
        {
            return;
        }
        self.data_at = data.then_some(self.buf.len());
        frame.put(self.buf.vec_for(frame.size()));
    }

    /// Makes the DATA frame at `at`, which is the last one, longer by what came; `None`: it would be too long.
    fn extend(&mut self, at: usize, frame: &Frame<'_>) -> Option<()> {
        let length = self.buf.len() - at - HEADER + frame.payload.len();
        if length > frames::MAX_PAYLOAD {
            return None;
        }
        let bytes = self.buf.vec();
        bytes.get_mut(at..at + 4)?.copy_from_slice(&(length as u32).to_be_bytes());
        *bytes.get_mut(at + 5)? |= frame.flags.0 & Flags::END.0;
        bytes.extend_from_slice(frame.payload);
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Puts back what was taken and not looked at, before what came since.
    pub(super) fn put_back(&mut self, received: Received) {
        let mut frames = received.frames;
        frames.consume(received.shown);
        frames.vec().extend_from_slice(self.buf.filled());
        self.buf = frames;
        self.data_at = None;
    }

    pub(super) fn take(&mut self) -> Received {
        self.data_at = None;
        Received { frames: std::mem::take(&mut self.buf), shown: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(inbox: &mut Inbox, kind: Kind, flags: Flags, payload: &[u8]) {
        inbox.push(&Frame { kind, flags, stream: 1, payload });
    }

    #[test]
    fn data_next_to_data_is_one_and_keeps_its_place() {
        let mut inbox = Inbox::default();
        push(&mut inbox, Kind::HEAD, Flags::INTERIM, b"h");
        push(&mut inbox, Kind::DATA, Flags::NONE, b"");
        push(&mut inbox, Kind::DATA, Flags::NONE, b"ab");
        push(&mut inbox, Kind::DATA, Flags::NONE, b"c");
        push(&mut inbox, Kind::TRAILERS, Flags::END, b"t");
        let mut received = inbox.take();
        assert_eq!(received.next(), Some(Event::Head { payload: b"h", interim: true, end: false }));
        assert_eq!(received.next(), Some(Event::Data { bytes: b"abc", end: false }));
        assert_eq!(received.next(), Some(Event::Trailers { lines: b"t" }));
        assert!(received.is_empty());
        assert_eq!(received.next(), None);
        assert!(inbox.is_empty());
    }

    #[test]
    fn an_end_without_bytes_is_not_lost() {
        let mut inbox = Inbox::default();
        push(&mut inbox, Kind::DATA, Flags::NONE, b"ab");
        push(&mut inbox, Kind::DATA, Flags::END, b"");
        assert_eq!(inbox.take().next(), Some(Event::Data { bytes: b"ab", end: true }));
        push(&mut inbox, Kind::DATA, Flags::END, b"");
        assert_eq!(inbox.take().next(), Some(Event::End));
    }

    #[test]
    fn what_is_too_long_for_one_frame_becomes_two() {
        let mut inbox = Inbox::default();
        let piece = vec![7; frames::MAX_PAYLOAD - 1];
        push(&mut inbox, Kind::DATA, Flags::NONE, &piece);
        push(&mut inbox, Kind::DATA, Flags::END, b"ab");
        let mut received = inbox.take();
        assert_eq!(received.next(), Some(Event::Data { bytes: &piece, end: false }));
        assert_eq!(received.next(), Some(Event::Data { bytes: b"ab", end: true }));
    }
}
