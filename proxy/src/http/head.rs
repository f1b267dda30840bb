//! Reading HEAD payloads.
//!
//! Reading checks the prefix only, so that it costs next to nothing on the path; `http1` and `http2` check every byte when
//! they write a payload out.

use super::{
    Fields, Flaw, Framing, HeadError, Version, grpc,
    prefix::{Prefix, Scheme, flag},
    target,
};

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

    /// The target's path without the query; `*` for the asterisk form, empty for CONNECT
    /// to an authority.
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

    /// Whether a tunnel is asked for: CONNECT, of either kind.
    pub fn is_connect(&self) -> bool {
        self.method == b"CONNECT"
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
