//! Listening sockets: the same addresses once per worker.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    num::NonZeroUsize,
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::socket::Liveness;

/// Connections that the kernel holds for a listener until it accepts; the system's own limit may be lower.
const BACKLOG: i32 = 4096;

/// Where to listen, and what accepted sockets shall be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The addresses. An IPv6 address is left out where the kernel has no IPv6.
    pub addresses: Vec<IpAddr>,
    /// The port; with 0 the kernel chooses one, the same for all addresses and workers.
    pub port: u16,
    /// How accepted connections find out that the other end is gone.
    pub liveness: Liveness,
}

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else does already.
    #[error("{address} is in use already; another proxy in this network namespace?")]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// The kernel refused for another reason.
    #[error("cannot listen on {address}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No address was left.
    #[error("no address to listen on for port {port}: this kernel has none of the families of {addresses:?}")]
    NoAddress {
        /// The port.
        port: u16,
        /// What was asked for.
        addresses: Vec<IpAddr>,
    },
}

/// Binds once per worker; the first index of what comes back is the worker's. All of it works, or none.
///
/// # Errors
/// [`BindError`].
pub fn bind(listening: &Listening, workers: NonZeroUsize) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut of_workers: Vec<Vec<TcpListener>> = (0..workers.get()).map(|_| Vec::new()).collect();
    let mut port = listening.port;
    for ip in &listening.addresses {
        let address = SocketAddr::new(*ip, port);
        if !family_exists(address) {
            continue;
        }
        check_free(address)?;
        for of_worker in &mut of_workers {
            let listener = listen(SocketAddr::new(*ip, port), listening.liveness).map_err(|e| error(address, e))?;
            port = listener.local_addr().map_err(|e| error(address, e))?.port();
            of_worker.push(listener);
        }
    }
    if of_workers.iter().any(Vec::is_empty) {
        return Err(BindError::NoAddress { port, addresses: listening.addresses.clone() });
    }
    Ok(of_workers)
}

fn error(address: SocketAddr, source: io::Error) -> BindError {
    if source.kind() == io::ErrorKind::AddrInUse {
        BindError::InUse { address }
    } else {
        BindError::Refused { address, source }
    }
}

/// IPv6 may be missing from the kernel, or switched off for this namespace: then not even its loopback can be bound.
fn family_exists(address: SocketAddr) -> bool {
    let any = SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), 0);
    address.is_ipv4() || socket(any).and_then(|socket| socket.bind(&any.into())).is_ok()
}

/// With SO_REUSEPORT a second proxy would bind too, and the two would take connections from each other.
fn check_free(address: SocketAddr) -> Result<(), BindError> {
    if address.port() == 0 {
        return Ok(());
    }
    socket(address).and_then(|socket| socket.bind(&address.into())).map_err(|e| error(address, e))
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?; // IPv4 has a socket of its own, so no address comes as ::ffff:10.0.0.1
    }
    socket.set_reuse_address(true)?; // connections of an earlier proxy may linger
    Ok(socket)
}

fn listen(address: SocketAddr, liveness: Liveness) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets have these from the listener, which saves a system call for each per connection.
    socket.set_tcp_nodelay(true)?;
    liveness.apply(SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr, TcpStream},
        time::Duration,
    };

    use super::*;

    fn on(addresses: &[IpAddr], port: u16) -> Listening {
        let liveness = Liveness { keepalive: Duration::from_secs(10), user_timeout: Duration::from_secs(30) };
        Listening { addresses: addresses.to_vec(), port, liveness }
    }

    fn workers(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn every_worker_listens_on_every_address_at_one_port() {
        let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let of_workers = bind(&on(&addresses, 0), workers(3)).unwrap();
        assert_eq!(of_workers.len(), 3);
        let all: Vec<SocketAddr> = of_workers.iter().flatten().map(|listener| listener.local_addr().unwrap()).collect();
        assert!(all.iter().all(|address| address.port() == all[0].port() && address.port() != 0));
    }

    #[test]
    fn accepted_sockets_inherit_what_is_set_on_the_listener() {
        let of_workers = bind(&on(&[Ipv4Addr::LOCALHOST.into()], 0), workers(1)).unwrap();
        let listener = &of_workers[0][0];
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_second_proxy_on_the_same_port_is_told_so() {
        let first = bind(&on(&[Ipv4Addr::LOCALHOST.into()], 0), workers(2)).unwrap();
        let port = first[0][0].local_addr().unwrap().port();
        let error = bind(&on(&[Ipv4Addr::LOCALHOST.into()], port), workers(2)).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        drop(first);
        bind(&on(&[Ipv4Addr::LOCALHOST.into()], port), workers(1)).unwrap();
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error() {
        let error = bind(&on(&[Ipv4Addr::new(192, 0, 2, 1).into()], 0), workers(1)).unwrap_err();
        assert!(matches!(error, BindError::Refused { .. }), "{error}");
        assert!(matches!(bind(&on(&[], 0), workers(1)), Err(BindError::NoAddress { .. })));
    }
}
