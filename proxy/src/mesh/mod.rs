//! The transport between two proxies: streams over TLS 1.3 connections. docs/mesh-transport.md is its specification.
//!
//! - [`Link`] is one connection. Its caller dials or accepts the socket and spawns [`Link::run_client`] or
//!   [`Link::run_server`] on the worker; streams may be opened before the handshake is over.
//! - [`Stream`] is one exchange or one app connection on it. Tasks append frames to their link's buffer and take frames
//!   from their inbox; one turn of the loop is one TLS write.
//! - [`Open`] says what a stream is for; [`Received`] and [`Event`] are what comes on it; [`Refusal`], [`ResetCause`],
//!   [`StreamError`], [`LinkError`] and [`OpenError`] are how it ends.
//!
//! ```ignore
//! // Outbound
//! let link = Link::client(config, endpoint, limits);
//! spawn_local(link.clone().run_client(io));
//! let stream = link.open(&Open::new(8080, Protocol::Http1))?;
//! stream.head(&payload, false);
//! let sent = stream.credit(body.len()).await?;
//! stream.data(&body[..sent], true);
//!
//! // Inbound
//! let link = Link::server(config, limits);
//! spawn_local(link.run_server(io, |incoming| ...)); // hand `incoming` on, do not work on it here
//! let mut received = stream.received().await?;
//! while let Some(event) = received.next() { ... }
//! stream.taken(bytes); // what the app took of DATA
//! ```
//!
//! Below them, without IO: `frames`, `inbox`, `mux` (the streams of a link), `tls`, `keeper` (a link's deadlines).

mod code;
mod error;
pub mod frames;
#[cfg(test)]
mod golden;
mod inbox;
mod limits;
mod link;
mod mux;
mod open;
mod records;
mod stream;
mod tls;

pub use code::{Refusal, ResetCause};
pub use error::{LinkError, OpenError, ProtocolError, StreamError};
pub use inbox::{Event, Received};
pub use limits::{CONNECTION_WINDOW, Limits, PIECE, STREAM_WINDOW};
pub use link::{Incoming, Link, LinkEnd, LinkState};
#[cfg(fuzzing)]
pub use mux::{feed, play};
pub use open::{Open, Protocol, Trace};
pub use stream::Stream;

/// What both sides must agree on by ALPN.
pub const ALPN: &[u8] = b"weft/1";
