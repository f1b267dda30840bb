//! Where a redirected connection wanted to go.

use std::{io, net::SocketAddr, os::fd::AsFd};

use socket2::{SockAddr, SockRef};

use crate::address::{ClientAddr, OrigDst};

/// How the original destination of a connection is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginalDestination {
    /// The kernel remembers it from before the redirect (SO_ORIGINAL_DST).
    Kernel,
    /// Every connection wanted to go here: a proxy in front of one server, without redirect rules.
    Fixed(SocketAddr),
}

impl OriginalDestination {
    /// Where the connection from `client` wanted to go. One that was not redirected wanted to go to the address that it
    /// reached.
    ///
    /// # Errors
    /// The socket's, when it is not connected any more.
    pub fn of(self, stream: &impl AsFd, client: ClientAddr) -> io::Result<OrigDst> {
        match self {
            Self::Kernel => of_kernel(SockRef::from(stream), client.0.is_ipv4()).map(OrigDst),
            Self::Fixed(address) => Ok(OrigDst(address)),
        }
    }
}

fn of_kernel(socket: SockRef<'_>, is_ipv4: bool) -> io::Result<SocketAddr> {
    let original = if is_ipv4 { socket.original_dst_v4() } else { socket.original_dst_v6() };
    match original {
        Ok(original) => address(original),
        // No entry of this connection in the kernel's table, or no such table: nothing was redirected.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOPROTOOPT | libc::EOPNOTSUPP)) => {
            address(socket.local_addr()?)
        }
        Err(e) => Err(e),
    }
}

fn address(address: SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_not_redirected_wanted_to_go_where_it_came() {
        for ip in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let _client = TcpStream::connect(address).unwrap();
            let (accepted, client) = listener.accept().unwrap();
            let client = ClientAddr(client);
            assert_eq!(OriginalDestination::Kernel.of(&accepted, client).unwrap(), OrigDst(address));
            let fixed = SocketAddr::from(([10, 0, 0, 1], 80));
            assert_eq!(OriginalDestination::Fixed(fixed).of(&accepted, client).unwrap(), OrigDst(fixed));
        }
    }
}
