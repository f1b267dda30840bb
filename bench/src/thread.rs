//! One thread = one runtime with tasks that never leave it, as in the proxy; and sockets for them.

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Runs `work` to its end on the calling thread.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    LocalSet::new().block_on(&runtime, work)
}

/// A listener that shares its port with the other threads' ones.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("listen on {address}"))?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into())?)
}

/// Gives each accepted connection a task of its own, for ever. What goes wrong with one ends that one.
pub async fn accept<F, R>(listener: TcpListener, serve: F) -> anyhow::Result<()>
where
    F: Fn(TcpStream) -> R + 'static,
    R: Future<Output = anyhow::Result<()>> + 'static,
{
    let serve = Rc::new(serve);
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        connection.set_nodelay(true)?;
        let serve = serve.clone();
        tokio::task::spawn_local(async move {
            // The other end sees the connection closed, and counts it.
            let _ = serve(connection).await;
        });
    }
}

/// A connection without Nagle's delay.
pub async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let connection = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    connection.set_nodelay(true)?;
    Ok(connection)
}
