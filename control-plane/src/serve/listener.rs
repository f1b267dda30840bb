//! The control plane's port: accept, TLS, HTTP/2, and who calls.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tracing::debug;
use weft_certs::Peer;

use super::{door::Door, watch::Services};
use crate::{
    identity::Caller,
    listen::{accept, secure},
};

/// A proxy that is gone without a word is found out within these two.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// What of a stream may wait for its reader in HTTP/2's own buffer: hyper takes 400 KB, thousands of times. What waits in the
/// outbox instead is shared bytes, and is replaced when it is out of date.
const SEND_BUFFER: usize = 16 * 1024;
/// One Watch and a renewal are what a proxy needs.
const STREAMS_PER_CONNECTION: u32 = 16;

/// What the port goes by.
#[derive(Clone, Copy, Debug)]
pub struct ListenerSettings {
    /// Connections at a time; further ones wait in the system's queue.
    pub max_connections: usize,
    /// Connections of one address at a time; further ones are closed.
    pub connections_per_peer: usize,
    /// TLS handshakes at a time; further ones wait their turn.
    pub max_handshakes: usize,
}

/// The port.
pub struct Listener {
    listener: TcpListener,
    services: Arc<Services>,
    settings: ListenerSettings,
}

impl Listener {
    /// A listener on a bound socket.
    pub fn new(listener: TcpListener, services: Arc<Services>, settings: ListenerSettings) -> Self {
        Self { listener, services, settings }
    }

    /// Accepts until the drain begins. Connections go on in tasks of their own.
    pub async fn run(self) {
        // A replica is ready only once synced: until then connections wait in the system's queue.
        let shutdown = self.services.shutdown.clone();
        tokio::select! {
            () = shutdown.draining() => return,
            () = self.services.hub.synced() => {}
        }
        let services = self.services;
        let door = Door::new(&self.settings, services.hub.metrics.clone());
        let max = self.settings.max_connections;
        accept(self.listener, max, shutdown.draining(), &shutdown, |io, address| {
            serve(services.clone(), door.clone(), io, address)
        })
        .await;
    }
}

async fn serve(services: Arc<Services>, door: Arc<Door>, io: TcpStream, address: SocketAddr) {
    let Some(_held) = door.connection(address.ip()) else { return };
    let Some(handshake) = door.handshake(address.ip()).await else { return };
    let Some(io) = secure(services.authority.server(), io, address).await else { return };
    drop(handshake);
    // The verifier has accepted the chain, and with it its name.
    let peer = io.get_ref().1.peer_certificates().and_then(|chain| Peer::of(chain).ok());
    serve_connection(services, io, Caller { address, peer }).await;
}

/// Serves one connection until it ends, or the drain has begun and what was in flight is done.
pub(super) async fn serve_connection(
    services: Arc<Services>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    caller: Caller,
) {
    let router = TowerToHyperService::new(services.for_caller(caller.clone()));
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(STREAMS_PER_CONNECTION);
    let connection = http.serve_connection(TokioIo::new(io), router);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = services.shutdown.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, client.addr = %caller.address, "connection ended");
    }
}
