//! TCP through the bare pair: a TLS connection for each connection, and bytes copied.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::copy_bidirectional_with_sizes;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Options;
use crate::thread;

const BUFFER: usize = 64 * 1024;

/// The client's side.
pub async fn outbound(options: &Options, tls: Arc<ClientConfig>) -> anyhow::Result<()> {
    let (peer, tls) = (options.forward, TlsConnector::from(tls));
    thread::accept(thread::listen(options.listen)?, move |mut client| {
        let tls = tls.clone();
        async move {
            let connection = thread::connect(peer).await?;
            let mut connection = tls.connect(ServerName::IpAddress(peer.ip().into()), connection).await?;
            copy_bidirectional_with_sizes(&mut client, &mut connection, BUFFER, BUFFER).await?;
            Ok(())
        }
    })
    .await
}

/// The server's side.
pub async fn inbound(options: &Options, tls: Arc<ServerConfig>) -> anyhow::Result<()> {
    let (app, tls) = (options.forward, TlsAcceptor::from(tls));
    thread::accept(thread::listen(options.listen)?, move |connection| {
        let tls = tls.clone();
        async move {
            let mut connection = tls.accept(connection).await?;
            let mut app = thread::connect(app).await?;
            copy_bidirectional_with_sizes(&mut connection, &mut app, BUFFER, BUFFER).await?;
            Ok(())
        }
    })
    .await
}
