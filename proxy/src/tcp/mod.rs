//! Opaque bytes: both ways between an app's connection and a stream, or between two connections.
//!
//! Each direction ends by itself (half-close); a reset is passed on as one. A connection of which one direction is over
//! and the other silent, or both silent, is not kept for ever.

mod pass;
mod relay;

use std::time::Duration;

pub use pass::pass_through;
pub use relay::relay;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::{access::Access, telemetry::OpenConnection};

/// How long silence is borne.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// While both directions are open. `WEFT_TCP_IDLE`.
    pub idle: Option<Duration>,
    /// Once one direction is over. `WEFT_HALF_CLOSE_DEADLINE`.
    pub half_closed: Duration,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both directions were finished.
    Closed,
    /// It was silent for too long.
    Silent,
    /// The app reset it, or its socket broke.
    AppReset,
    /// The other side reset it, or the way there broke.
    PeerReset,
}

/// What a relay reports while it goes on.
pub struct Counters {
    /// The connection's place in the figures. None: it is counted elsewhere.
    pub connection: Option<OpenConnection>,
    /// Its line in the access log.
    pub access: Access,
}

impl Counters {
    fn count_received(&self, bytes: usize) {
        if let Some(connection) = &self.connection {
            connection.received(bytes);
        }
        self.access.received(bytes as u64);
    }

    fn count_sent(&self, bytes: usize) {
        if let Some(connection) = &self.connection {
            connection.sent(bytes);
        }
        self.access.sent(bytes as u64);
    }
}

/// Makes the socket's close a reset (RST), as its other side's was.
pub fn reset_on_close(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}
