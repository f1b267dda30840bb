//! What a peer with a valid certificate may put on the mesh port: how its frames are made, and what may become of them.

use super::{heads, streams};

/// All cases.
pub fn cases() -> impl Iterator<Item = &'static PeerCase> {
    [heads::CASES, streams::CASES].into_iter().flatten()
}

/// Streams of one link. `port` is the app's.
pub struct PeerCase {
    pub name: &'static str,
    /// A section of docs/mesh-transport.md, or what else is evaded.
    pub source: &'static str,
    pub frames: fn(port: u16) -> Vec<u8>,
    pub becomes: Fate,
}

/// What must become of a link's stream 1.
#[derive(Clone, Copy)]
pub enum Fate {
    /// REFUSE with this code: nothing reached the app.
    Refused(u16),
    /// REFUSE with code 9, or RESET with code 4 where the app had taken the connection by then. It sees no whole message.
    Malformed,
    /// RESET with this code, and the app sees no whole message.
    Reset(u16),
    /// The link ends.
    LinkEnds,
    /// The app sees this message, to which the peer's identity is added, and answers.
    Passed(&'static str),
    /// The stream is gone, by whichever side; the link goes on.
    Gone,
}

pub(super) const fn case(
    name: &'static str,
    source: &'static str,
    frames: fn(u16) -> Vec<u8>,
    becomes: Fate,
) -> PeerCase {
    PeerCase { name, source, frames, becomes }
}

pub const HTTP1: u8 = 1;
pub const HTTP2: u8 = 2;
pub(super) const OPEN: u8 = 1;
pub(super) const ACCEPT: u8 = 2;
const HEAD: u8 = 4;
const DATA: u8 = 5;
pub(super) const TRAILERS: u8 = 6;
pub(super) const CREDIT: u8 = 7;
pub(super) const RESET: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const GOAWAY: u8 = 10;
/// A flag.
pub const END: u8 = 1;

/// Framings of a head.
pub const NONE: (u8, u64) = (0, 0);
pub const CHUNKED: (u8, u64) = (2, 0);

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_be_bytes()[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn open(stream: u32, protocol: u8, port: u16) -> Vec<u8> {
    frame(OPEN, 0, stream, &[&[protocol][..], &port.to_be_bytes()].concat())
}

/// The payload of a request's head: prefix, method, target, lines.
pub fn payload((version, flags, framing): (u8, u8, (u8, u64)), words: (&[u8], &[u8]), lines: &[u8]) -> Vec<u8> {
    let (method, target) = words;
    let lengths = (u8::try_from(method.len()).unwrap_or(0), u16::try_from(target.len()).unwrap_or(0));
    let mut payload = vec![16, version, framing.0, flags];
    payload.extend_from_slice(&framing.1.to_be_bytes());
    payload.extend_from_slice(&[0, lengths.0]);
    payload.extend_from_slice(&lengths.1.to_be_bytes());
    [&payload[..], method, target, lines].concat()
}

pub fn head(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(HEAD, flags, stream, payload)
}

pub fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

/// Stream 1, with a head of these lines and framing.
pub(super) fn request(port: u16, framing: (u8, u64), lines: &[u8], end: u8) -> Vec<u8> {
    [open(1, HTTP1, port), head(1, end, &payload((11, 0, framing), (b"POST", b"/"), lines))].concat()
}

pub(super) fn get(port: u16, lines: &[u8]) -> Vec<u8> {
    request(port, NONE, lines, END)
}

/// Stream 1 with a good head of which one byte of the prefix is another.
pub(super) fn prefix(port: u16, at: usize, byte: u8) -> Vec<u8> {
    let mut payload = payload((11, 0, NONE), (b"GET", b"/"), b"Host: a\r\n");
    payload[at] = byte;
    [open(1, HTTP1, port), head(1, END, &payload)].concat()
}

/// Stream 1 with a chunked body and these trailers.
pub(super) fn trailers(port: u16, lines: &[u8]) -> Vec<u8> {
    let begun = [request(port, CHUNKED, b"Host: a\r\n", 0), data(1, 0, b"abc")].concat();
    [begun, frame(TRAILERS, END, 1, lines)].concat()
}
