//! HTTP/1.1 without IO: heads and chunked bodies, both ways.
//!
//! Reading parses with `httparse` straight out of the connection's buffer and appends a HEAD payload (see `http`) to the
//! buffer it leaves from; nothing else is allocated. Writing composes the head for the other side and checks every byte of
//! the payload again, because whoever made it may be hostile. What is ambiguous is refused, never repaired: two parsers
//! that disagree on where a message ends are how requests are smuggled (RFC 9112 section 11.2).

mod chunked;
mod read;
mod scan;
mod write;

#[cfg(test)]
mod tests;

pub use chunked::{ChunkDecoder, ChunkError, Decoded, write_chunk_end, write_chunk_head, write_last_chunk};
pub use read::{read_request, read_response};
pub use write::{write_request, write_response};

pub use crate::http::AnswerTo;
use crate::http::{Framing, Version};

/// A request's head that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// Bytes of the input that the head took.
    pub used: usize,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client's version.
    pub version: Version,
    /// Whether the client lets the connection live on after the answer.
    pub keep_alive: bool,
    /// Whether the method is HEAD.
    pub is_head: bool,
    /// Whether the method is CONNECT.
    pub is_connect: bool,
    /// Whether a switch of protocol is asked for: by Upgrade, or by CONNECT.
    pub upgrade: bool,
    /// Whether the client waits for 100 (Continue) before it sends the body.
    pub expects_continue: bool,
}

impl RequestInfo {
    /// What the answer to it must know.
    pub fn answer_to(&self) -> AnswerTo {
        AnswerTo { version: self.version, is_head: self.is_head, is_connect: self.is_connect, upgrade: self.upgrade }
    }
}

/// A response's head that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseInfo {
    /// Bytes of the input that the head took.
    pub used: usize,
    /// The status code.
    pub status: u16,
    /// How the body that really follows is delimited: None for HEAD, 204, 304, 1xx and a switch.
    pub framing: Framing,
    /// Whether the connection may carry another request after this answer.
    pub keep_alive: bool,
    /// Whether the final response is still to come: 1xx but 101.
    pub interim: bool,
    /// Whether the connection now belongs to another protocol: 101, or 2xx to CONNECT.
    pub switched: bool,
}

/// A request's head that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestWritten {
    /// How the body is to be written.
    pub framing: Framing,
    /// What reading the answer must know.
    pub answer_to: AnswerTo,
}

/// How a response is to be written.
#[derive(Clone, Copy, Debug)]
pub struct WriteResponse {
    /// The request it answers, as the client sent it.
    pub answer_to: AnswerTo,
    /// Whether the connection ends after it; `connection: close` says so.
    pub close: bool,
    /// Whether a proxy made the payload or passed it on, so that its `weft-proxy-error` stays.
    pub from_peer_proxy: bool,
}

/// A response's head that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseWritten {
    /// How the body that really follows is to be written.
    pub framing: Framing,
    /// The status code.
    pub status: u16,
    /// Whether the final response is still to come. Nothing at all is written of one for an HTTP/1.0 client.
    pub interim: bool,
    /// Whether the connection now belongs to another protocol.
    pub switched: bool,
    /// Whether the connection must be closed after the body.
    pub close: bool,
}
