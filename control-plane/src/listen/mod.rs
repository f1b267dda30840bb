//! The one accept loop, and the TLS handshake behind it. What a connection speaks is its port's affair.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, warn};

use crate::shutdown::Shutdown;

/// How long a TLS handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed for want of something (EMFILE), so that it is not tried in a circle.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `end`. Each connection goes on in a task of its own, which `shutdown` ends at its deadline.
///
/// `max_connections`: at a time; further ones wait in the system's queue.
pub async fn accept<F>(
    listener: TcpListener,
    max_connections: usize,
    end: impl Future<Output = ()>,
    shutdown: &Shutdown,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::pin!(end);
    let permits = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = &mut end => return,
            (permit, accepted) = accepted => match accepted {
                Ok((io, address)) => {
                    let connection = serve(io, address);
                    shutdown.spawn_connection(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "accept failed");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

/// The TLS of one connection. None: it did not come about, which is the client's loss.
pub async fn secure(config: Arc<ServerConfig>, io: TcpStream, address: SocketAddr) -> Option<TlsStream<TcpStream>> {
    // Answers are small and wanted at once. Where it cannot be set they come all the same.
    let _unset = io.set_nodelay(true);
    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(io)).await {
        Ok(Ok(io)) => Some(io),
        Ok(Err(error)) => {
            debug!(%error, client.addr = %address, "handshake failed");
            None
        }
        Err(_) => {
            debug!(client.addr = %address, "no handshake in time");
            None
        }
    }
}
