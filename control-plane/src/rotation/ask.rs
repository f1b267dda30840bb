//! Asks the other replicas what proxies have reported to them, over mutual TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};
use tracing::debug;
use weft_api::pb::{ReportsRequest, ReportsResponse, fleet_client::FleetClient};

use crate::{error::chain, identity::Authority};

/// For connection, handshake and answer of one replica.
const ANSWER: Duration = Duration::from_secs(5);
/// 10,000 proxies' reports are about 2 MB.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Replicas at a time.
const AT_ONCE: usize = 8;

/// A replica that does not say.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no connection")]
    Connect(#[from] tonic::transport::Error),
    #[error("no answer")]
    Refused(#[from] Box<Status>),
    #[error("no answer in time")]
    Late,
}

/// What each of these replicas says. None: it does not.
pub(super) async fn all(
    authority: &Authority,
    replicas: Vec<SocketAddr>,
) -> Vec<(SocketAddr, Option<ReportsResponse>)> {
    let Ok(tls) = authority.client() else { return replicas.into_iter().map(|address| (address, None)).collect() };
    let asked = replicas.into_iter().map(|address| {
        let tls = tls.clone();
        async move { (address, one(tls, address).await) }
    });
    stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

async fn one(tls: Arc<ClientConfig>, address: SocketAddr) -> Option<ReportsResponse> {
    let answer = timeout(ANSWER, reports(tls, address)).await.unwrap_or(Err(AskError::Late));
    answer.inspect_err(|error| debug!(%address, error = chain(error), "a replica does not answer")).ok()
}

async fn reports(tls: Arc<ClientConfig>, address: SocketAddr) -> Result<ReportsResponse, AskError> {
    let mut fleet = FleetClient::new(connect(tls, address).await?).max_decoding_message_size(MOST_BYTES);
    let answer = fleet.reports(ReportsRequest {}).await.map_err(Box::new)?;
    Ok(answer.into_inner())
}

async fn connect(tls: Arc<ClientConfig>, address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    let connector = tower::service_fn(move |_: Uri| {
        let tls = TlsConnector::from(tls.clone());
        async move {
            let io = TcpStream::connect(address).await?;
            let io = tls.connect(ServerName::IpAddress(address.ip().into()), io).await?;
            Ok::<_, io::Error>(TokioIo::new(io))
        }
    });
    Endpoint::from_static("http://weft-control-plane").connect_with_connector(connector).await
}
