//! What a stream is opened with: the payload of OPEN.
//!
//! ```text
//! protocol u8 | target port u16 | fields: (tag u8 | length u16 | value)*
//! ```
//!
//! A tag below 0x80 that is not known is skipped; one from 0x80 on must be understood, or the stream is refused.

use std::{net::IpAddr, time::Duration};

/// What the bytes of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// One HTTP/1.x exchange, as HEAD, DATA, TRAILERS.
    Http1,
    /// One HTTP/2 exchange, as HEAD, DATA, TRAILERS.
    Http2,
    /// The bytes of a connection, as DATA.
    Opaque,
    /// The bytes of a connection whose client is silent so far; the first bytes of either side settle what it is.
    Undecided,
}

/// W3C trace context: trace id, parent id, flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(pub [u8; 25]);

/// What is asked of the peer when a stream is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The app's port.
    pub target_port: u16,
    /// What the bytes will be.
    pub protocol: Protocol,
    /// How long the caller waits for the whole exchange from now on; to the millisecond.
    pub deadline: Option<Duration>,
    /// This is a second try already: the peer's own calls are not to be tried again for it.
    pub retried: bool,
    /// The pod's address that was meant, where the peer has several.
    pub target: Option<IpAddr>,
    /// The trace that this belongs to.
    pub trace: Option<Trace>,
}

/// An OPEN that cannot be served as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// It breaks the layout: the link ends.
    #[error("OPEN is malformed")]
    Malformed,
    /// It asks for something of a later release: the stream is refused.
    #[error("OPEN asks for something that this release does not know")]
    Unsupported,
}

const DEADLINE: u8 = 1;
const RETRIED: u8 = 2;
const TARGET: u8 = 3;
const TRACE: u8 = 4;

impl Open {
    /// An exchange on the app's port, with nothing else asked.
    pub fn new(target_port: u16, protocol: Protocol) -> Self {
        Self { target_port, protocol, deadline: None, retried: false, target: None, trace: None }
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.protocol.number());
        out.extend_from_slice(&self.target_port.to_be_bytes());
        if let Some(deadline) = self.deadline {
            let millis = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
            put_field(out, DEADLINE, &millis.to_be_bytes());
        }
        if self.retried {
            put_field(out, RETRIED, &[]);
        }
        match self.target {
            Some(IpAddr::V4(address)) => put_field(out, TARGET, &address.octets()),
            Some(IpAddr::V6(address)) => put_field(out, TARGET, &address.octets()),
            None => {}
        }
        if let Some(Trace(trace)) = self.trace {
            put_field(out, TRACE, &trace);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// When it is malformed, or asks for what this release does not know.
    pub fn read(payload: &[u8]) -> Result<Self, OpenRefused> {
        let &[protocol, high, low, ref fields @ ..] = payload else { return Err(OpenRefused::Malformed) };
        let protocol = Protocol::from_number(protocol);
        let mut open = Self::new(u16::from_be_bytes([high, low]), protocol.unwrap_or(Protocol::Undecided));
        let understood = open.read_fields(fields)?;
        if understood && protocol.is_some() { Ok(open) } else { Err(OpenRefused::Unsupported) }
    }

    /// False: a field is not known that must be.
    fn read_fields(&mut self, mut fields: &[u8]) -> Result<bool, OpenRefused> {
        let mut understood = true;
        while let &[tag, high, low, ref rest @ ..] = fields {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (value, rest) = rest.split_at_checked(length).ok_or(OpenRefused::Malformed)?;
            understood &= self.read_field(tag, value).ok_or(OpenRefused::Malformed)?;
            fields = rest;
        }
        if fields.is_empty() { Ok(understood) } else { Err(OpenRefused::Malformed) }
    }

    /// `None`: its value cannot be.
    fn read_field(&mut self, tag: u8, value: &[u8]) -> Option<bool> {
        match tag {
            DEADLINE => self.deadline = Some(Duration::from_millis(u32::from_be_bytes(*value.first_chunk()?).into())),
            RETRIED => self.retried = true,
            TARGET => self.target = Some(address(value)?),
            TRACE => self.trace = Some(Trace(*value.first_chunk()?)),
            _ => return Some(tag < 0x80),
        }
        Some(true)
    }
}

impl Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Undecided => 0,
            Self::Http1 => 1,
            Self::Http2 => 2,
            Self::Opaque => 3,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Undecided),
            1 => Some(Self::Http1),
            2 => Some(Self::Http2),
            3 => Some(Self::Opaque),
            _ => None,
        }
    }
}

fn put_field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::from(*value.first_chunk::<4>()?)),
        16 => Some(IpAddr::from(*value.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(open: &Open) -> Vec<u8> {
        let mut out = Vec::new();
        open.put(&mut out);
        out
    }

    fn any_open() -> impl Strategy<Value = Open> {
        let protocol = (0u8..4).prop_map(|number| Protocol::from_number(number).unwrap());
        let deadline =
            any::<Option<u32>>().prop_map(|millis| millis.map(|millis| Duration::from_millis(millis.into())));
        let trace = prop::option::of(prop::array::uniform25(any::<u8>()).prop_map(Trace));
        (any::<u16>(), protocol, deadline, any::<bool>(), any::<Option<IpAddr>>(), trace).prop_map(
            |(target_port, protocol, deadline, retried, target, trace)| Open {
                target_port,
                protocol,
                deadline,
                retried,
                target,
                trace,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(open in any_open()) {
            prop_assert_eq!(Open::read(&payload(&open)), Ok(open));
        }

        #[test]
        fn any_payload_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Open::read(&bytes);
        }
    }

    #[test]
    fn unknown_fields_are_skipped_unless_they_must_be_understood() {
        let open = Open { retried: true, ..Open::new(80, Protocol::Http1) };
        let mut later = payload(&open);
        put_field(&mut later, 0x7f, b"of a later release");
        assert_eq!(Open::read(&later), Ok(open));
        put_field(&mut later, 0x80, b"");
        assert_eq!(Open::read(&later), Err(OpenRefused::Unsupported));
        assert_eq!(Open::read(&[9, 0, 80]), Err(OpenRefused::Unsupported), "protocol 9");
    }

    #[test]
    fn known_fields_may_have_grown_but_not_shrunk() {
        let mut grown = payload(&Open::new(80, Protocol::Opaque));
        put_field(&mut grown, DEADLINE, &[0, 0, 1, 0, 7]);
        assert_eq!(Open::read(&grown).unwrap().deadline, Some(Duration::from_millis(256)));
        let mut shrunk = payload(&Open::new(80, Protocol::Opaque));
        put_field(&mut shrunk, DEADLINE, &[0, 0, 1]);
        assert_eq!(Open::read(&shrunk), Err(OpenRefused::Malformed));
        assert_eq!(Open::read(&grown[..grown.len() - 1]), Err(OpenRefused::Malformed));
    }
}
