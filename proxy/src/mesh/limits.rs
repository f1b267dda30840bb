//! The numbers of a link: those that the specification fixes, and those that each side chooses.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::HEADER;
use crate::buffer;

/// How much DATA a stream may send before it is given more. Fixed by the specification.
pub const STREAM_WINDOW: u32 = 256 << 10;
/// How much DATA a connection may send, all streams together, before it is given more. Fixed by the specification.
pub const CONNECTION_WINDOW: u32 = 8 << 20;
/// What a connection's window grows to on the side that opens streams: those whose apps do not read hold 256 KiB each, and are
/// to leave the others alone. They are as many as its own apps have opened.
pub(super) const CONNECTION_WINDOW_MOST: u32 = 64 << 20;
/// The largest piece of DATA that is sent as one frame: what fills a record of TLS, so that its reader finds it whole.
pub const PIECE: usize = RECORD - HEADER;
/// The most that a record of TLS holds (RFC 8446 section 5.1).
pub(super) const RECORD: usize = 16 << 10;

/// The largest id; the rest is for streams that the accepting side may open in a later release.
pub(super) const MAX_ID: u32 = (1 << 31) - 1;
/// No credit grows above this.
pub(super) const MAX_CREDIT: u32 = (1 << 31) - 1;
/// How much DATA one stream may put into one write, so that others get their turn.
pub(super) const STREAM_TURN: u32 = 4 * PIECE as u32;
const _: () = assert!(buffer::BIG == 4 * PIECE, "a full read of an app is to fill whole records");
/// From here on, DATA waits for the writer.
pub(super) const BACKLOG: usize = 256 << 10;
/// From here on, no stream is opened.
pub(super) const BACKLOG_OPEN: usize = 4 << 20;
/// A peer that makes us hold more than this for it does not read: the link ends.
pub(super) const BACKLOG_MOST: usize = 16 << 20;
/// Bytes of heads and trailers that may wait for one stream's task.
pub(super) const STREAM_HEADS: usize = 256 << 10;
/// Bytes of heads and trailers that may wait for all tasks of a connection.
pub(super) const CONNECTION_HEADS: usize = 8 << 20;

/// What one side of a link allows, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams that may be open at once, default 2,048. A peer that opens more is refused as not delivered; of its own
    /// accord a client opens three quarters as many, and more is [`super::OpenError::Full`].
    pub streams: usize,
    /// How long the handshake may take, default 5 s.
    pub handshake: Duration,
    /// How long a link without streams is kept, default 60 s.
    pub idle: Duration,
    /// With streams open: how long nothing may come before a PING asks why, default 5 s.
    pub ping_after: Duration,
    /// How long a PING may be unanswered, default 5 s. So a dead peer is found within 10 s.
    pub ping_timeout: Duration,
    /// How long streams may go on once the link drains, default 30 s.
    pub drain: Duration,
    /// How long a draining acceptor waits for its peer's word that no stream is on its way any more, default 2 s. What
    /// comes later is told by the last GOAWAY that it was not served.
    pub drain_answer: Duration,
    /// When the leaf that opened the link ends: the link drains then. A server's link also drains when its peer's leaf
    /// ends, whatever is said here.
    pub expires: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 2048,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            ping_after: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            drain_answer: Duration::from_secs(2),
            expires: None,
        }
    }
}
