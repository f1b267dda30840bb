//! What can go wrong with a link and with its streams.

use std::{io, sync::Arc};

use weft_certs::{IdentityError, WrongIdentity};

use super::{
    code::{Refusal, ResetCause},
    frames::TooLong,
};
use crate::error::Reason;

/// Why a stream cannot be opened now. Nothing was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The link is over.
    #[error("the link is over")]
    Dead(#[source] LinkError),
    /// The link takes no new streams any more.
    #[error("the link is draining")]
    Draining,
    /// As many streams are open, or as many bytes are waiting, as may be.
    #[error("the link is full")]
    Full,
}

/// Why a stream cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection is gone, or the peer serves no stream as late as this one.
    #[error("the link was lost")]
    Lost {
        /// False: nothing of the stream can have reached the app.
        delivered: bool,
        /// What happened to the link.
        #[source]
        cause: LinkError,
    },
    /// Nothing of it reached the app.
    #[error("the peer refused the stream: {0:?}")]
    Refused(Refusal),
    /// It was broken off.
    #[error("the stream was reset: {0:?}")]
    Reset(ResetCause),
}

impl StreamError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Lost { delivered: true, .. } => Reason::ConnectionLost,
            Self::Lost { delivered: false, cause } => cause.reason(),
            Self::Refused(refusal) => refusal.reason(),
            Self::Reset(cause) => cause.reason(),
        }
    }
}

/// Why a link is over. Cheap to clone: each of its streams gets one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// Closed from this side, by [`super::Link::close`].
    #[error("closed from this side")]
    Closed,
    /// The peer did not take a connection.
    #[error("the peer did not take a connection: {0}")]
    Connect(io::ErrorKind),
    /// The peer did not take a connection in time.
    #[error("the peer did not take a connection in time")]
    ConnectTimeout,
    /// Drained to its end, or past its drain's limit.
    #[error("drained")]
    Drained,
    /// The peer serves no stream as late as this one.
    #[error("the peer is going away")]
    GoneAway,
    /// The TLS handshake did not succeed. A wrong identity is inside: [`LinkError::wrong_identity`].
    #[error("the handshake did not succeed")]
    Handshake(#[source] Arc<rustls::Error>),
    /// The TLS handshake took too long.
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// The peer's certificate names no workload.
    #[error("the peer has no identity")]
    Identity(#[source] IdentityError),
    /// No stream was open for too long.
    #[error("idle for too long")]
    Idle,
    /// The socket broke.
    #[error("the connection broke: {0}")]
    Io(io::ErrorKind),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer broke the rules.
    #[error("the peer broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// The peer did not answer a PING.
    #[error("the peer is silent")]
    Silent,
    /// The peer does not read what it makes us send.
    #[error("the peer does not read")]
    Stalled,
    /// TLS broke after the handshake.
    #[error("tls broke")]
    Tls(#[source] Arc<rustls::Error>),
}

impl LinkError {
    /// What the caller of a stream that was never delivered is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Connect(_) => Reason::ConnectRefused,
            Self::ConnectTimeout => Reason::ConnectTimeout,
            Self::Handshake(_) if self.wrong_identity().is_some() => Reason::WrongIdentity,
            Self::Handshake(_) | Self::HandshakeTimeout | Self::Identity(_) => Reason::Handshake,
            Self::Closed | Self::Drained | Self::GoneAway => Reason::Draining,
            Self::Idle
            | Self::Io(_)
            | Self::PeerClosed
            | Self::Protocol(_)
            | Self::Silent
            | Self::Stalled
            | Self::Tls(_) => Reason::NotDelivered,
        }
    }

    /// Whom discovery named and who answered, when the link failed because they differ.
    pub fn wrong_identity(&self) -> Option<WrongIdentity> {
        match self {
            Self::Handshake(error) => weft_certs::wrong_identity(error),
            _ => None,
        }
    }
}

/// How a peer broke the rules. The link ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Another protocol than ours was agreed on, or none.
    #[error("the peer did not agree on weft/1")]
    Alpn,
    /// ACCEPT or REFUSE came late or twice.
    #[error("ACCEPT or REFUSE out of turn on stream {0}")]
    AnsweredTwice(u32),
    /// More credit than can be.
    #[error("credit overflow on stream {0}")]
    CreditOverflow(u32),
    /// A frame that only the other side may send.
    #[error("frame of kind {kind} from the wrong side on stream {stream}")]
    Direction {
        /// The frame's kind.
        kind: u8,
        /// The frame's stream.
        stream: u32,
    },
    /// More came after END.
    #[error("frame of kind {kind} after the end of stream {stream}")]
    EndTwice {
        /// The frame's kind.
        kind: u8,
        /// The frame's stream.
        stream: u32,
    },
    /// More heads wait than can be meant.
    #[error("too many heads on stream {0}")]
    Heads(u32),
    /// A payload that breaks its kind's layout.
    #[error("malformed payload of kind {0}")]
    Malformed(u8),
    /// More DATA than credit.
    #[error("more data than credit on stream {0} (0: the connection)")]
    OverCredit(u32),
    /// A stream was opened twice, or below one that was opened before.
    #[error("stream id {0} is stale")]
    StaleId(u32),
    /// A frame that is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A frame of a stream that was never opened.
    #[error("stream {0} was never opened")]
    Unopened(u32),
    /// A frame that concerns the whole connection, must be understood and is not known.
    #[error("frame of unknown kind {0} must be understood")]
    Unsupported(u8),
}

impl From<ProtocolError> for LinkError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}
