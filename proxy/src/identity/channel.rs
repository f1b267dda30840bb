//! The way to the control plane: TLS over a socket of our own, for gRPC.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use weft_certs::{Leaf, SpiffeId, SpiffeIdError, TlsError, TrustBundle, WrongIdentity, control_client, wrong_identity};

use crate::{
    config::Config,
    endpoint::{ConnectError, Dial, connect},
    socket::Liveness,
};

/// How long a connection to the control plane may take, its handshake, and one of its answers to a ping.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_DEADLINE: Duration = Duration::from_secs(5);

/// Why there is no way to the control plane.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The address.
    #[error("{host} cannot be resolved: check WEFT_CONTROL_PLANE_ADDRESS and the cluster's DNS")]
    Resolve {
        /// What was asked for.
        host: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// The connection.
    #[error("the control plane cannot be reached")]
    Connect(#[from] ConnectError),
    /// The identity that the control plane must have.
    #[error("the control plane's identity is invalid: check WEFT_TRUST_DOMAIN and WEFT_CONTROL_PLANE_NAMESPACE")]
    Identity(#[from] SpiffeIdError),
    /// A caller that must prove itself has no certificate yet.
    #[error("no certificate yet")]
    NoCertificate,
    /// TLS settings.
    #[error("no TLS to the control plane")]
    Tls(#[from] TlsError),
    /// Somebody else answered.
    #[error("the control plane's address is another workload's: check WEFT_CONTROL_PLANE_ADDRESS")]
    WrongIdentity(#[from] WrongIdentity),
    /// The TLS handshake.
    #[error("no TLS handshake with the control plane")]
    Handshake(#[source] io::Error),
    /// HTTP/2.
    #[error("no HTTP/2 with the control plane")]
    Transport(#[from] tonic::transport::Error),
}

/// Connects to the control plane, which must prove to be it. With `leaf` it knows who we are.
///
/// The channel is this one connection: when it breaks, calls fail and a new channel is needed, so that no call goes out
/// under a leaf or a bundle that has been replaced. Cancel-safe.
///
/// # Errors
/// [`ChannelError`].
pub async fn control_channel(
    config: &Config,
    bundle: &TrustBundle,
    leaf: Option<&Leaf>,
) -> Result<Channel, ChannelError> {
    let plane = &config.control_plane;
    let expected = SpiffeId::control_plane(&plane.trust_domain, &plane.namespace)?;
    let tls = TlsConnector::from(control_client(bundle, leaf, &expected)?);
    let io = handshake(&tls, dial(config).await?).await?;
    let once = Arc::new(Mutex::new(Some(io)));
    let connector = tower::service_fn(move |_: Uri| {
        let io = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(io.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let endpoint = Endpoint::from_static("http://weft-control-plane")
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_DEADLINE)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// A connection to the first of the control plane's addresses that takes one.
async fn dial(config: &Config) -> Result<TcpStream, ChannelError> {
    let address = &config.control_plane.address;
    let liveness = Liveness { keepalive: config.timeouts.keepalive, user_timeout: config.timeouts.user_timeout };
    let dial = Dial { mark: config.interception.mark, liveness: Some(liveness) };
    let unresolved = |source| ChannelError::Resolve { host: address.host.clone(), source };
    let addresses = timeout(CONNECT_DEADLINE, tokio::net::lookup_host((address.host.as_str(), address.port))).await;
    let addresses = addresses.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(unresolved)?;
    let mut last = unresolved(io::ErrorKind::NotFound.into());
    for address in addresses {
        match connect(address, dial, CONNECT_DEADLINE).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

async fn handshake(tls: &TlsConnector, stream: TcpStream) -> Result<TlsStream<TcpStream>, ChannelError> {
    // Neither sent nor checked: the verifier knows the identity to expect.
    #[expect(clippy::expect_used, reason = "a constant that is a DNS name")]
    let name = ServerName::try_from("weft-control-plane").expect("a name");
    match timeout(HANDSHAKE_DEADLINE, tls.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(ChannelError::Handshake(io::ErrorKind::TimedOut.into())),
    }
}

fn refusal(error: io::Error) -> ChannelError {
    let by_tls = error.get_ref().and_then(|error| error.downcast_ref());
    match by_tls.and_then(wrong_identity) {
        Some(wrong) => wrong.into(),
        None => ChannelError::Handshake(error),
    }
}
