//! Dialling: one connection to an endpoint or to the app, with a deadline.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use crate::{error::Reason, socket::Liveness};

/// How to dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    /// The mark by which the redirect rules know the proxy's own connections.
    pub mark: Option<u32>,
    /// For connections that leave this machine; on loopback nothing can be lost.
    pub liveness: Option<Liveness>,
}

/// Why there is no connection. Nothing has reached the other end in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time.
    #[error("no answer from {address} within {deadline:?}")]
    Deadline {
        /// Who was dialled.
        address: SocketAddr,
        /// How long was waited.
        deadline: Duration,
    },
    /// The endpoint, or the network before it, refused.
    #[error("{address} refused the connection")]
    Refused {
        /// Who was dialled.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// This machine has no descriptor, port or memory left, or may not set the mark.
    #[error("no socket for a connection to {address}")]
    Local {
        /// Who was to be dialled.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ConnectError {
    /// Why a request to an endpoint fails then.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Deadline { .. } => Reason::ConnectTimeout,
            Self::Refused { .. } => Reason::ConnectRefused,
            Self::Local { .. } => Reason::Overloaded,
        }
    }

    /// Why a request fails then if it was the app that was dialled.
    pub fn app_reason(&self) -> Reason {
        match self {
            Self::Deadline { .. } => Reason::AppTimeout,
            Self::Refused { .. } => Reason::AppRefused,
            Self::Local { .. } => Reason::Overloaded,
        }
    }
}

impl From<Option<u32>> for Dial {
    fn from(mark: Option<u32>) -> Self {
        Self { mark, liveness: None }
    }
}

/// Connects. Cancel-safe: when dropped, the attempt is given up.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(
    address: SocketAddr,
    dial: impl Into<Dial>,
    deadline: Duration,
) -> Result<TcpStream, ConnectError> {
    let socket = socket(address, dial.into()).map_err(|source| ConnectError::Local { address, source })?;
    match tokio::time::timeout(deadline, socket.connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) if is_local(&source) => Err(ConnectError::Local { address, source }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::TimedOut => {
            Err(ConnectError::Deadline { address, deadline })
        }
        Ok(Err(source)) => Err(ConnectError::Refused { address, source }),
        Err(_) => Err(ConnectError::Deadline { address, deadline }),
    }
}

fn socket(address: SocketAddr, dial: Dial) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(mark) = dial.mark {
        SockRef::from(&socket).set_mark(mark)?;
    }
    if let Some(liveness) = dial.liveness {
        liveness.apply(SockRef::from(&socket))?;
    }
    Ok(socket)
}

/// Whether it is this machine that lacks something. (No free local port is EADDRNOTAVAIL.)
fn is_local(error: &io::Error) -> bool {
    let of_this_machine = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL, libc::EAGAIN];
    error.raw_os_error().is_some_and(|code| of_this_machine.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_connection_finds_out_that_the_other_end_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let liveness = Liveness { keepalive: 9 * SECOND, user_timeout: 30 * SECOND };
        let stream = connect(address, Dial { mark: None, liveness: Some(liveness) }, SECOND).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), 3 * SECOND);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(30 * SECOND));
    }

    #[tokio::test]
    async fn a_closed_port_is_a_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(address, Dial::default(), SECOND).await.unwrap_err();
        assert_eq!((error.reason(), error.app_reason()), (Reason::ConnectRefused, Reason::AppRefused));
    }
}
