//! What is set on every connection's socket, accepted or dialled, and what is asked of one.

use std::{
    io,
    mem::{offset_of, size_of},
    os::fd::AsRawFd,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

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

/// How many bytes of what was sent over a dialled connection the other end's machine has acknowledged. None: the kernel
/// does not say (before Linux 4.1).
pub fn acknowledged(socket: &TcpStream) -> Option<u64> {
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which has so many, and says how many it wrote.
    let result = unsafe {
        let into = info.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &raw mut length)
    };
    let known = offset_of!(libc::tcp_info, tcpi_bytes_acked) + size_of::<u64>();
    if result != 0 || (length as usize) < known {
        return None;
    }
    // SAFETY: all of it is numbers, and zero where the kernel wrote nothing.
    let info = unsafe { info.assume_init() };
    // The first one is that of the SYN.
    Some(info.tcpi_bytes_acked.saturating_sub(1))
}
