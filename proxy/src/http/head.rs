//! Reading HEAD payloads, and their typed prefix.
//!
//! Reading checks the prefix only, so that it costs next to nothing on the path; `http1` and `http2` check every byte when
//! they write a payload out.

use super::{Fields, Flaw, Framing, HeadError, Version, grpc, target};

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
    fn read(payload: &[u8]) -> Result<(Self, [u8; 4], &[u8]), Flaw> {
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

/// A request's head as it crosses the mesh.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    prefix: Prefix,
    scheme: Option<Scheme>,
    method: &'a [u8],
    target: &'a [u8],
    lines: &'a [u8],
}

impl<'a> RequestHead<'a> {
    /// Reads the prefix. The fields are checked only when the head is written out for an app.
    ///
    /// # Errors
    /// The prefix is cut short or has a code that this release does not know.
    pub fn read(payload: &'a [u8]) -> Result<Self, HeadError> {
        Self::parse(payload).map_err(HeadError::Request)
    }

    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, Flaw> {
        let (prefix, [scheme, method, high, low], rest) = Prefix::read(payload)?;
        let scheme = match scheme {
            0 => None,
            1 => Some(Scheme::Http),
            2 => Some(Scheme::Https),
            _ => return Err(Flaw::Payload),
        };
        let (method, rest) = rest.split_at_checked(method.into()).ok_or(Flaw::Payload)?;
        let (target, lines) = rest.split_at_checked(u16::from_be_bytes([high, low]).into()).ok_or(Flaw::Payload)?;
        if method.is_empty() || prefix.framing == Framing::UntilClose {
            return Err(Flaw::Payload);
        }
        Ok(Self { prefix, scheme, method, target, lines })
    }

    /// The method, case kept.
    pub fn method(&self) -> &'a [u8] {
        self.method
    }

    /// The target in the form it came in: `/path?query`, `http://host/path`, `*`, or `host:port` (CONNECT).
    pub fn target(&self) -> &'a [u8] {
        self.target
    }

    /// The target's path without the query; `*` for the asterisk form, empty for CONNECT.
    pub fn path(&self) -> &'a [u8] {
        target::split(self.method, self.target).0
    }

    /// What follows the question mark, if there is one.
    pub fn query(&self) -> Option<&'a [u8]> {
        target::split(self.method, self.target).1
    }

    /// The scheme that the message names: HTTP/2 always does, HTTP/1.1 only in the absolute form.
    pub fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// The value of Host (in HTTP/2 of `:authority`), with the port if it names one.
    pub fn host(&self) -> Option<&'a [u8]> {
        self.field(b"host")
    }

    /// The version it came in.
    pub fn version(&self) -> Version {
        self.prefix.version
    }

    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.prefix.framing
    }

    /// Whether the client asks for a switch of protocol: an Upgrade, or CONNECT.
    pub fn upgrade(&self) -> bool {
        self.prefix.flags & flag::UPGRADE != 0
    }

    /// Whether the client waits for 100 (Continue) before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.prefix.flags & flag::EXPECT_CONTINUE != 0
    }

    /// The fields in their order, hop-by-hop and framing fields left out.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.lines)
    }

    /// The value of the first field of that name, in whatever case.
    pub fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().find(name)
    }

    /// The field lines as bytes.
    pub fn lines(&self) -> &'a [u8] {
        self.lines
    }

    /// Whether it is a gRPC call, by its content type.
    pub fn is_grpc(&self) -> bool {
        self.field(b"content-type").is_some_and(grpc::is_grpc)
    }
}

/// A response's head as it crosses the mesh.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    prefix: Prefix,
    status: u16,
    reason: &'a [u8],
    lines: &'a [u8],
}

impl<'a> ResponseHead<'a> {
    /// Reads the prefix. The fields are checked only when the head is written out for a client.
    ///
    /// # Errors
    /// The prefix is cut short or has a code that this release does not know.
    pub fn read(payload: &'a [u8]) -> Result<Self, HeadError> {
        Self::parse(payload).map_err(HeadError::Response)
    }

    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, Flaw> {
        let (prefix, [a, b, high, low], rest) = Prefix::read(payload)?;
        let status = u16::from_be_bytes([a, b]);
        let (reason, lines) = rest.split_at_checked(u16::from_be_bytes([high, low]).into()).ok_or(Flaw::Payload)?;
        if !(100..=999).contains(&status) {
            return Err(Flaw::Status);
        }
        Ok(Self { prefix, status, reason, lines })
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, often empty.
    pub fn reason(&self) -> &'a [u8] {
        self.reason
    }

    /// The version it came in.
    pub fn version(&self) -> Version {
        self.prefix.version
    }

    /// How the body is delimited by what the fields declare.
    pub fn framing(&self) -> Framing {
        self.prefix.framing
    }

    /// Whether Upgrade is among the fields: 101 and 426.
    pub fn upgrade(&self) -> bool {
        self.prefix.flags & flag::UPGRADE != 0
    }

    /// Whether the final response is still to come: 1xx but 101.
    pub fn interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The fields in their order, hop-by-hop and framing fields left out.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(self.lines)
    }

    /// The value of the first field of that name, in whatever case.
    pub fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().find(name)
    }

    /// The field lines as bytes.
    pub fn lines(&self) -> &'a [u8] {
        self.lines
    }

    /// Whether it is a gRPC response, by its content type.
    pub fn is_grpc(&self) -> bool {
        self.field(b"content-type").is_some_and(grpc::is_grpc)
    }
}
