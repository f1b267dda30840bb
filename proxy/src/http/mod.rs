//! What HTTP/1.1 and HTTP/2 share: a message's head as it crosses the mesh, and what both do to its fields.
//!
//! A HEAD payload is one buffer: a typed prefix, then field lines `name: value\r\n` in the order and case they came in.
//! This step reads such payloads, judges fields, targets and hosts, and makes the responses that the proxy gives itself.
//! The bytes of HTTP/1.1 are read and written in `http1`, the types of the `h2` crate in `http2`. The layout of a payload
//! is specified in docs/mesh-transport.md, section "Heads".

mod error;
mod fields;
mod grpc;
mod head;
mod local;
mod prefix;
mod target;

#[cfg(test)]
mod tests;

pub use error::{Flaw, HeadError};
pub use fields::{Field, Fields, MAX_FIELDS};
pub(crate) use fields::{
    checked, eq, is_connection_specific, is_no_trailer, is_of_weft, put_field, put_trailers, valid_name, valid_value,
};
pub use grpc::{grpc_status, grpc_timeout, is_grpc, write_grpc_timeout};
pub use head::{RequestHead, ResponseHead};
pub use local::local_response;
pub use prefix::Scheme;
pub(crate) use prefix::{Prefix, RequestPrefix, ResponsePrefix, flag};
pub(crate) use target::{authority, check_host, check_target, origin};

/// The version a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// How a message's body is delimited.
///
/// In a response to HEAD and in a 304 this is what the fields declare; there is no body all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// No body, and no field that speaks of one.
    None,
    /// As many bytes as Content-Length says.
    Length(u64),
    /// Chunks and perhaps trailers; in HTTP/2 a body of unknown length.
    Chunked,
    /// A response that ends with its connection.
    UntilClose,
}

impl Framing {
    /// Whether bytes of a body may follow.
    pub fn has_body(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked | Self::UntilClose => true,
        }
    }

    /// Counts bytes of the body. False: the message has no place for so many.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        match self {
            Self::Length(left) if *left >= bytes as u64 => {
                *left -= bytes as u64;
                true
            }
            Self::None | Self::Length(_) => bytes == 0,
            Self::Chunked | Self::UntilClose => true,
        }
    }

    /// Whether the body may end after what was counted.
    pub(crate) fn may_end(self) -> bool {
        !matches!(self, Self::Length(1..))
    }
}

/// What a request says about the answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTo {
    /// The client's version.
    pub version: Version,
    /// HEAD: the answer has no body.
    pub is_head: bool,
    /// CONNECT: after a 2xx the connection belongs to the client's bytes.
    pub is_connect: bool,
    /// The request asks for a switch of protocol: by Upgrade (101 may come), or by CONNECT.
    pub upgrade: bool,
}

impl AnswerTo {
    /// Whether a response of that status ends at its head, whatever its fields declare.
    pub fn is_bodiless(&self, status: u16) -> bool {
        self.is_head || status == 304 || !self.may_declare(status)
    }

    /// Whether a response of that status may have fields that frame a body (RFC 9110 section 8.6).
    pub(crate) fn may_declare(&self, status: u16) -> bool {
        !(status < 200 || status == 204 || self.is_switch(status))
    }

    /// Whether the connection belongs to another protocol after a response of that status.
    pub fn is_switch(&self, status: u16) -> bool {
        status == 101 || (self.is_connect && status / 100 == 2)
    }

    /// How the bytes are delimited that follow a response's head: those of a tunnel end with it.
    pub(crate) fn body_of(&self, head: &ResponseHead<'_>) -> Framing {
        match head.framing() {
            _ if self.is_switch(head.status()) => Framing::UntilClose,
            _ if self.is_bodiless(head.status()) => Framing::None,
            declared => declared,
        }
    }

    /// Whether 101 may come.
    pub(crate) fn takes_101(&self) -> bool {
        self.upgrade && !self.is_connect
    }
}

/// What a head and the extras of a body may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, blank line included. Default 64 KiB, at most 64 KiB.
    pub head_bytes: usize,
    /// Fields of a head or of the trailers. Default 100, at most 100.
    pub fields: usize,
    /// Bytes of the trailers. Default 16 KiB.
    pub trailer_bytes: usize,
    /// Bytes of one chunk's extensions. Default 1 KiB.
    pub extension_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 64 << 10, fields: MAX_FIELDS, trailer_bytes: 16 << 10, extension_bytes: 1 << 10 }
    }
}

/// Appends a number in decimal.
pub(crate) fn put_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
