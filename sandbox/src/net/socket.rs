//! Connections that begin in another network namespace: a socket belongs to the one that it was made in.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::in_namespace;

/// Dials `to` from within `network`, or from the caller's namespace.
pub(crate) async fn connect_from(network: Option<BorrowedFd<'_>>, to: SocketAddr) -> std::io::Result<TcpStream> {
    let make = move || -> std::io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let socket = match network {
        Some(network) => in_namespace(network, make).await.map_err(std::io::Error::other)??,
        None => make()?,
    };
    TcpSocket::from_std_stream(socket.into()).connect(to).await
}
