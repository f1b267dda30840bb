//! What a client that speaks HTTP/2 may send, as frames, and what must become of it.

mod bodies;
mod heads;

/// All cases.
pub fn cases() -> impl Iterator<Item = &'static Http2Case> {
    [heads::CASES, bodies::CASES].into_iter().flatten()
}

/// Frames of a connection after its preface and SETTINGS.
pub struct Http2Case {
    pub name: &'static str,
    /// A section of an RFC, or the publication of the attack.
    pub source: &'static str,
    pub frames: fn() -> Vec<u8>,
    pub becomes: Fate,
}

/// What must become of stream 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is reset, or answered with an error by the proxy; the connection goes on. The app sees nothing whole.
    Reset,
    /// It is answered with 400 by the proxy; the connection goes on. The app sees nothing.
    Refused,
    /// The connection ends, as it may for any error of a stream (RFC 9113 section 5.4.1). The app sees nothing whole.
    Ends,
    /// The app sees this (method, URI, fields, body), and answers.
    Passed(&'static str),
}

const fn case(name: &'static str, source: &'static str, frames: fn() -> Vec<u8>, becomes: Fate) -> Http2Case {
    Http2Case { name, source, frames, becomes }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What every connection begins with.
pub fn beginning() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat()
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that no table remembers (RFC 7541 section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str, out: &mut Vec<u8>| {
        let length = text.len();
        if length < 127 {
            out.push(length as u8);
        } else {
            let mut rest = length - 127;
            out.push(127);
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
        out.extend_from_slice(text.as_bytes());
    };
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        text(name, &mut out);
        text(value, &mut out);
    }
    out
}

/// A request's HEADERS; the four pseudo-headers are there.
fn with(stream: u32, end: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let all = [&[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")], more].concat();
    frame(HEADERS, END_HEADERS | end, stream, &block(&all))
}

/// A whole request of just these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

fn data(stream: u32, end: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, end, stream, bytes)
}

/// A good request, for the connection's state afterwards.
pub fn good(stream: u32) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/after")];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

const M: (&str, &str) = (":method", "GET");
const S: (&str, &str) = (":scheme", "http");
const A: (&str, &str) = (":authority", "a");
const P: (&str, &str) = (":path", "/");
