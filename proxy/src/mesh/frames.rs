//! The frames between proxies, without IO: bytes in, frames out, and back.
//!
//! ```text
//! length u32 | kind u8 | flags u8 | stream u32 | payload
//! ```
//!
//! All numbers are big-endian; `length` counts the payload alone. What the kinds mean to a stream: `mux`. Both are
//! specified in docs/mesh-transport.md.

/// Bytes before a payload.
pub const HEADER: usize = 10;
/// The longest payload that a peer may send.
pub const MAX_PAYLOAD: usize = 128 << 10;

/// What a frame is. Numbers that are not listed may be a later release's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// Opens a stream.
    pub const OPEN: Self = Self(1);
    /// The app took the stream.
    pub const ACCEPT: Self = Self(2);
    /// Nothing of the stream reached the app, and why.
    pub const REFUSE: Self = Self(3);
    /// The head of a message.
    pub const HEAD: Self = Self(4);
    /// Bytes of a body or of an opaque connection.
    pub const DATA: Self = Self(5);
    /// Fields after a body; always with END.
    pub const TRAILERS: Self = Self(6);
    /// Leave to send so many more bytes of DATA, on a stream or (stream 0) on the connection.
    pub const CREDIT: Self = Self(7);
    /// The stream is broken off, and why.
    pub const RESET: Self = Self(8);
    /// Asks for an answer, or is one.
    pub const PING: Self = Self(9);
    /// No stream above the named one is served.
    pub const GOAWAY: Self = Self(10);

    /// Whether a peer that does not know this kind may not skip it.
    pub fn must_be_understood(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// Bits that say more about a frame. Those that are not listed are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// On HEAD, DATA and TRAILERS: the sender's last of this stream.
    pub const END: Self = Self(1);
    /// On HEAD: an interim response (1xx); another HEAD follows.
    pub const INTERIM: Self = Self(2);
    /// On PING: an answer.
    pub const ACK: Self = Self(4);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// END, if it is one.
    pub fn end(end: bool) -> Self {
        if end { Self::END } else { Self::NONE }
    }
}

/// One frame, lying in somebody's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// More about it.
    pub flags: Flags,
    /// Which stream it is of; 0 for the connection itself.
    pub stream: u32,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes on the wire, header included.
    pub fn size(&self) -> usize {
        HEADER + self.payload.len()
    }

    /// Whether END is set.
    pub fn end(&self) -> bool {
        self.flags.has(Flags::END)
    }

    /// Appends the frame as it goes over the wire.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&(self.payload.len() as u32).to_be_bytes());
        header[4] = self.kind.0;
        header[5] = self.flags.0;
        header[6..].copy_from_slice(&self.stream.to_be_bytes());
        out.reserve(self.size());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.payload);
    }
}

/// Appends a frame whose payload `write` appends, without a copy of it between.
pub fn put_with(out: &mut Vec<u8>, kind: Kind, stream: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    Frame { kind, flags: Flags::NONE, stream, payload: &[] }.put(out);
    write(out);
    let length = (out.len() - at - HEADER) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// A frame is announced that no peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes is too long")]
pub struct TooLong {
    /// The payload's announced length.
    pub length: u32,
}

/// The frame that `bytes` begin with, or `None` if more of it is to come. Takes any bytes, panics on none.
///
/// # Errors
/// As soon as four bytes announce more than [`MAX_PAYLOAD`].
pub fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, TooLong> {
    let Some(length) = bytes.first_chunk().map(|length| u32::from_be_bytes(*length)) else { return Ok(None) };
    if length as usize > MAX_PAYLOAD {
        return Err(TooLong { length });
    }
    let Some(payload) = bytes.get(HEADER..HEADER + length as usize) else { return Ok(None) };
    let stream = u32::from_be_bytes([bytes[6], bytes[7], bytes[8], bytes[9]]);
    Ok(Some(Frame { kind: Kind(bytes[4]), flags: Flags(bytes[5]), stream, payload }))
}

/// How many of `bytes` fit into `most` without cutting a frame; a longer frame goes alone, what is none goes whole.
pub fn fitting(bytes: &[u8], most: usize) -> usize {
    let mut fitting = 0;
    while let Ok(Some(frame)) = first(&bytes[fitting..]) {
        if fitting > 0 && fitting + frame.size() > most {
            break;
        }
        fitting += frame.size();
    }
    if fitting == 0 { bytes.len() } else { fitting }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (u8, u8, u32, Vec<u8>);

    fn any_frames() -> impl Strategy<Value = Vec<Owned>> {
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        prop::collection::vec((any::<u8>(), any::<u8>(), any::<u32>(), payload), 0..12)
    }

    fn write(frames: &[Owned]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, flags, stream, payload) in frames {
            Frame { kind: Kind(*kind), flags: Flags(*flags), stream: *stream, payload }.put(&mut out);
        }
        out
    }

    /// Reads as a connection does: what is not whole waits for the next piece.
    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Owned> {
        let (mut held, mut frames) = (Vec::new(), Vec::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            while let Some(frame) = first(&held).unwrap() {
                frames.push((frame.kind.0, frame.flags.0, frame.stream, frame.payload.to_vec()));
                let size = frame.size();
                held.drain(..size);
            }
        }
        assert!(held.is_empty());
        frames
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_frames(frames in any_frames(), size in 1usize..64) {
            prop_assert_eq!(read(write(&frames).chunks(size)), frames);
        }

        #[test]
        fn frames_are_parted_without_cutting_one(frames in any_frames(), most in 1usize..1000) {
            let bytes = write(&frames);
            let mut rest = &bytes[..];
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(fitting(rest, most));
                let one = first(piece).unwrap().unwrap();
                prop_assert!(piece.len() <= most || one.size() == piece.len());
                pieces.push(read([piece].into_iter()));
                rest = left;
            }
            prop_assert_eq!(pieces.concat(), frames);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(frame)) = first(&bytes) {
                prop_assert!(frame.size() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_known_from_its_first_bytes() {
        let longest = (MAX_PAYLOAD as u32).to_be_bytes();
        assert_eq!(first(&longest), Ok(None));
        let longer = MAX_PAYLOAD as u32 + 1;
        assert_eq!(first(&longer.to_be_bytes()), Err(TooLong { length: longer }));
        assert_eq!(first(&longer.to_be_bytes()[..3]), Ok(None));
    }
}
