//! What is set on every connection's socket, accepted or dialled.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};

/// How the kernel finds out that the other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// After how long without a byte it is probed, default 10 s; then every third of it, at least every second.
    pub keepalive: Duration,
    /// How long sent bytes may stay unacknowledged, default 30 s.
    pub user_timeout: Duration,
}

impl Liveness {
    /// Sets it on a socket. Sockets that a listener accepts have what was set on the listener.
    ///
    /// # Errors
    /// The kernel's.
    pub fn apply(self, socket: SockRef<'_>) -> io::Result<()> {
        let interval = (self.keepalive / 3).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(self.keepalive).with_interval(interval).with_retries(3);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.user_timeout))
    }
}
