//! Between an app's connection and a stream: the same on the outbound and the inbound side.
//!
//! `conn.rs` is the connection, `body.rs` moves a body towards the stream, `message.rs` moves a message from it.
//! Which stream, and what happens when it does not work out, is decided above: `client/` and `server/`.

mod body;
mod conn;
mod http2;
mod join;
mod message;

pub use body::OutgoingBody;
pub use conn::{AppConn, Reader, Writer};
pub use http2::{Http2Body, Progress as Http2Progress, send_received};
pub use join::{given_up, given_up_early, with_beside};
pub use message::{HeadVerdict, Received, receive};

use crate::{
    error::Reason,
    http::{Flaw, HeadError},
    http1::ChunkError,
    mesh::StreamError,
};

impl From<Flaw> for Failure {
    fn from(flaw: Flaw) -> Self {
        Self::Trailers(flaw)
    }
}

/// Why an exchange cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The app's connection is gone.
    Gone(std::io::Error),
    /// The stream is.
    Stream(StreamError),
    /// What the app or the peer sent is not a message that may go on.
    Head(HeadError),
    /// Trailers that may not go on.
    Trailers(Flaw),
    /// A chunked body is malformed.
    Chunk(ChunkError),
    /// The app's HTTP/2 stream or connection is broken.
    Http2(h2::Error),
    /// A body that does not keep to its framing.
    Framing,
    /// An answer with a status that the route wants tried again.
    Status(u16),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl From<HeadError> for Failure {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl Failure {
    /// What a client is told. None: the client itself is gone.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Gone(_) | Self::Http2(_) => None,
            Self::Stream(error) => Some(error.reason()),
            Self::Head(error) => Some(error.reason()),
            Self::Chunk(_) => Some(Reason::MalformedRequest),
            Self::Framing | Self::Trailers(_) | Self::Status(_) => Some(Reason::MalformedResponse),
        }
    }
}
