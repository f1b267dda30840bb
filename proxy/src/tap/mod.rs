//! The tap port (4190): here the control plane, and nobody else, looks on at the requests that end at this proxy.
//!
//! Whoever connects proves by a certificate of the mesh to be the control plane, which has asked its cluster whether the
//! user may. Runs on the control runtime; what a worker does for it: `telemetry/tap.rs`.

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{Stream, stream};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::{debug, warn};
use weft_api::pb::{
    ObserveRequest, ObserveResponse,
    tap_server::{Tap, TapServer},
};
use weft_certs::{IdentityError, Peer, SpiffeId, SpiffeIdError, TlsError, control_server};

use crate::{
    admin,
    config::Config,
    error::chain,
    identity::IdentityStore,
    limit::{PeerCap, PeerPermit},
    shutdown::Shutdown,
    telemetry::Taps,
};

/// Connections at the same time; more are closed at once. Each replica of the control plane makes one for each tap.
const CONNECTIONS: usize = 64;
/// And of one client, so that no stranger keeps the control plane out.
const CONNECTIONS_OF_ONE: usize = 8;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A control plane that is gone without a word is found out within these two.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// Pause after the kernel refuses to accept, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the port.
#[derive(Clone)]
pub struct TapPort {
    identity: Arc<IdentityStore>,
    control_plane: SpiffeId,
    taps: Taps,
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this proxy has no certificate yet")]
    NoCertificate,
    #[error("no TLS")]
    Tls(#[from] TlsError),
    #[error("no handshake")]
    Handshake(#[from] io::Error),
    #[error("no handshake within {HANDSHAKE:?}")]
    Late,
    #[error("whoever calls shows nobody's certificate")]
    Nobody(#[from] IdentityError),
    #[error("{0} is not the control plane")]
    Stranger(SpiffeId),
}

impl TapPort {
    /// A port that `taps` are shown on.
    ///
    /// # Errors
    /// The settings make no identity of the control plane.
    pub fn new(config: &Config, identity: Arc<IdentityStore>, taps: Taps) -> Result<Self, SpiffeIdError> {
        let plane = &config.control_plane;
        let control_plane = SpiffeId::control_plane(&plane.trust_domain, &plane.namespace)?;
        Ok(Self { identity, control_plane, taps })
    }

    /// Serves on each address until the proxy stops. A port that cannot be had is no reason not to carry traffic: the log says
    /// so, and tap does not work here.
    pub fn start(&self, (addresses, port): (&[IpAddr], u16), shutdown: &Shutdown) {
        match admin::bind(addresses, port) {
            Ok(listeners) => {
                for listener in listeners {
                    let this = self.clone();
                    shutdown.spawn("tap", |stop| this.serve(listener, stop));
                }
            }
            Err(error) => warn!(error = chain(&error), port, "no tap: the port cannot be opened (WEFT_TAP_PORT)"),
        }
    }

    async fn serve(self, listener: TcpListener, stop: CancellationToken) -> Result<(), Infallible> {
        let (mut connections, clients) = (JoinSet::new(), PeerCap::new(CONNECTIONS_OF_ONE));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((io, client)) if connections.len() < CONNECTIONS => match clients.enter(client.ip()) {
                        Ok(permit) => {
                            connections.spawn(self.clone().connection(io, client, permit));
                        }
                        Err(error) => debug!(%error, "tap connection closed"),
                    },
                    Ok((_, client)) => debug!(client.addr = %client, "too many connections to the tap port"),
                    Err(error) => {
                        warn!(%error, "tap port cannot accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    async fn connection(self, io: TcpStream, client: SocketAddr, _permit: PeerPermit) {
        let (io, peer) = match self.admit(io).await {
            Ok(admitted) => admitted,
            Err(error) => return debug!(client.addr = %client, error = chain(&error), "tap refused"),
        };
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_ANSWER);
        let service = TowerToHyperService::new(TapServer::new(Observer { taps: self.taps }));
        // Whoever it was has to prove it again once its leaf has ended.
        let left = peer.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        if let Ok(Err(error)) = timeout(left, http.serve_connection(TokioIo::new(io), service)).await {
            debug!(%error, client.addr = %client, "tap connection ended");
        }
    }

    /// Lets the control plane in.
    async fn admit(&self, io: TcpStream) -> Result<(TlsStream<TcpStream>, Peer), Refused> {
        let current = self.identity.current().ok_or(Refused::NoCertificate)?;
        let tls = control_server(current.tls.leaf(), current.tls.bundle())?;
        let handshake = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(io));
        let io = handshake.await.map_err(|_| Refused::Late)??;
        // The verifier has accepted the chain, if there is one.
        let peer = Peer::of(io.get_ref().1.peer_certificates().unwrap_or_default())?;
        if peer.identity == self.control_plane { Ok((io, peer)) } else { Err(Refused::Stranger(peer.identity)) }
    }
}

/// The gRPC service, for the control plane.
#[derive(Clone)]
struct Observer {
    taps: Taps,
}

#[tonic::async_trait]
impl Tap for Observer {
    type ObserveStream = Pin<Box<dyn Stream<Item = Result<ObserveResponse, Status>> + Send>>;

    async fn observe(&self, request: Request<ObserveRequest>) -> Result<Response<Self::ObserveStream>, Status> {
        let observation = self.taps.observe(request.into_inner());
        let observation = observation.map_err(|error| Status::resource_exhausted(error.to_string()))?;
        let responses = stream::unfold(observation, |mut observation| async move {
            let response = observation.next().await;
            Some((Ok(response), observation))
        });
        Ok(Response::new(Box::pin(responses)))
    }
}
