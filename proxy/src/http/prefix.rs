//! The typed prefix of a HEAD payload: what is needed of a message before its fields are looked at.
//!
//! Its layout is fixed in docs/mesh-transport.md, section "Heads".

use super::{Flaw, Framing, Version};

/// Bits of a prefix's flags. Bits 0 to 3 may be ignored by who does not know them, bits 4 to 7 may not.
pub(crate) mod flag {
    /// The message asks for, or makes, a switch of protocol.
    pub(crate) const UPGRADE: u8 = 1;
    /// The client waits for 100 (Continue) before it sends the body.
    pub(crate) const EXPECT_CONTINUE: u8 = 2;
    /// The bits whose meaning must be known.
    pub(crate) const CRITICAL: u8 = 0xf0;
}

/// A request's scheme, where the message names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// http.
    Http,
    /// https.
    Https,
}

/// What both prefixes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) version: Version,
    pub(crate) framing: Framing,
    pub(crate) flags: u8,
}

impl Prefix {
    /// The most bytes of a payload: a head of 64 KiB, the prefix, and what making the lines uniform adds.
    pub(crate) const LONGEST_PAYLOAD: usize = 66 << 10;
    /// Bytes of a prefix as this release writes it; a later one may be longer.
    pub(crate) const LENGTH: usize = 16;

    fn bytes(self) -> [u8; Self::LENGTH] {
        let (kind, length) = match self.framing {
            Framing::None => (0, 0),
            Framing::Length(length) => (1, length),
            Framing::Chunked => (2, 0),
            Framing::UntilClose => (3, 0),
        };
        let version = match self.version {
            Version::Http10 => 10,
            Version::Http11 => 11,
            Version::Http2 => 20,
        };
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&[Self::LENGTH as u8, version, kind, self.flags]);
        bytes[4..12].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// The prefix, its four bytes of its own, and what follows it.
    pub(super) fn read(payload: &[u8]) -> Result<(Self, [u8; 4], &[u8]), Flaw> {
        if payload.len() > Self::LONGEST_PAYLOAD {
            return Err(Flaw::TooLarge);
        }
        let Some((&[skip, version, kind, flags, a, b, c, d, e, f, g, h, w, x, y, z], _)) = payload.split_first_chunk()
        else {
            return Err(Flaw::Payload);
        };
        let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let framing = match kind {
            0 => Framing::None,
            1 if length <= i64::MAX as u64 => Framing::Length(length),
            2 => Framing::Chunked,
            3 => Framing::UntilClose,
            _ => return Err(Flaw::Payload),
        };
        let version = match version {
            10 => Version::Http10,
            11 => Version::Http11,
            20 => Version::Http2,
            _ => return Err(Flaw::Payload),
        };
        let rest = payload.get(usize::from(skip)..).ok_or(Flaw::Payload)?;
        if usize::from(skip) < Self::LENGTH || flags & flag::CRITICAL != 0 {
            return Err(Flaw::Payload);
        }
        Ok((Self { version, framing, flags }, [w, x, y, z], rest))
    }
}

/// The prefix of a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestPrefix {
    pub(crate) prefix: Prefix,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) method: u8,
    pub(crate) target: u16,
}

impl RequestPrefix {
    pub(crate) fn bytes(self) -> [u8; Prefix::LENGTH] {
        let mut bytes = self.prefix.bytes();
        bytes[12] = match self.scheme {
            None => 0,
            Some(Scheme::Http) => 1,
            Some(Scheme::Https) => 2,
        };
        bytes[13] = self.method;
        bytes[14..].copy_from_slice(&self.target.to_be_bytes());
        bytes
    }
}

/// The prefix of a response's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponsePrefix {
    pub(crate) prefix: Prefix,
    pub(crate) status: u16,
    pub(crate) reason: u16,
}

impl ResponsePrefix {
    pub(crate) fn bytes(self) -> [u8; Prefix::LENGTH] {
        let mut bytes = self.prefix.bytes();
        bytes[12..14].copy_from_slice(&self.status.to_be_bytes());
        bytes[14..].copy_from_slice(&self.reason.to_be_bytes());
        bytes
    }
}
