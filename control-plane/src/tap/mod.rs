//! Tap: shows a user the requests of live pods, if the cluster says that the user may.
//!
//! The API server passes requests for API group `tap.weft.dev` on to this port (an aggregated API). It proves by its
//! certificate to be the API server and names the user ([`front_proxy`]); a SubjectAccessReview asks whether that user may
//! ([`review`]); then the proxies of the target are asked, which let in nobody else ([`session`]).

mod api;
mod front_proxy;
mod line;
mod review;
mod session;
mod target;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use kube::Client;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tracing::{debug, info, warn};
use weft_certs::Serving;

pub use line::{Line, Party, Tapped};
pub use target::RESOURCES;

use crate::{
    error::chain,
    identity::Authority,
    listen::{accept, secure},
    serve::Hub,
    shutdown::Shutdown,
};
use front_proxy::FrontProxy;

/// The API group, whose APIService is `v1alpha1.tap.weft.dev`.
pub const GROUP: &str = "tap.weft.dev";
/// Its version.
pub const VERSION: &str = "v1alpha1";

/// The API server has a handful, and one for each tap.
const MOST_CONNECTIONS: usize = 128;
/// Taps at a time.
const MOST_TAPS: usize = 32;
/// Proxies that one tap asks.
const MOST_PROXIES: usize = 100;
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(120);

/// The API, as every request has it.
#[derive(Clone)]
pub struct Api {
    client: Client,
    hub: Arc<Hub>,
    authority: Arc<Authority>,
    trust_domain: Arc<str>,
    taps: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl Api {
    /// The API over what the hub knows.
    pub fn new(client: Client, hub: Arc<Hub>, authority: Arc<Authority>, settings: (&str, Shutdown)) -> Self {
        let (trust_domain, shutdown) = settings;
        Self {
            client,
            hub,
            authority,
            trust_domain: trust_domain.into(),
            taps: Arc::new(Semaphore::new(MOST_TAPS)),
            shutdown,
        }
    }

    /// Serves until the drain begins, with the certificate of each moment; connections wait for the first, and for what
    /// tells the API server from others.
    pub fn start(self, listener: TcpListener, serving: watch::Receiver<Option<Serving>>) {
        let (known, front_proxy) = watch::channel(None);
        let shutdown = self.shutdown.clone();
        shutdown.spawn("tap-front-proxy", front_proxy::follow(self.client.clone(), known, shutdown.clone()));
        shutdown.spawn("tap", async move {
            self.serve(listener, (serving, front_proxy)).await;
            Ok::<_, Infallible>(())
        });
    }

    async fn serve(
        self,
        listener: TcpListener,
        (mut serving, mut front_proxy): (watch::Receiver<Option<Serving>>, watch::Receiver<Option<Arc<FrontProxy>>>),
    ) {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.draining() => return,
            there = serving.wait_for(Option::is_some) => if there.is_err() { return },
        }
        tokio::select! {
            biased;
            () = shutdown.draining() => return,
            there = front_proxy.wait_for(Option::is_some) => if there.is_err() { return },
        }
        accept(listener, MOST_CONNECTIONS, shutdown.draining(), &shutdown, |io, address| {
            let (serving, front_proxy) = (serving.borrow().clone(), front_proxy.borrow().clone());
            let this = self.clone();
            async move {
                if let (Some(serving), Some(front_proxy)) = (serving, front_proxy) {
                    this.connection((serving, front_proxy), (io, address)).await;
                }
            }
        })
        .await;
    }

    async fn connection(
        self,
        (serving, front_proxy): (Serving, Arc<FrontProxy>),
        (io, address): (TcpStream, SocketAddr),
    ) {
        let config = match serving.server_for(&front_proxy.authorities) {
            Ok(config) => config,
            Err(error) => return warn!(error = chain(&error), "no tap: the API server cannot be told from others"),
        };
        let Some(io) = secure(config, io, address).await else { return };
        if !front_proxy.is_api_server(io.get_ref().1.peer_certificates().unwrap_or_default()) {
            return info!(client.addr = %address, "tap refused: the caller is not the API server");
        }
        let draining = self.shutdown.clone();
        let service = TowerToHyperService::new(self.router().layer(Extension(front_proxy)));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(IDLE);
        let connection = http.serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = draining.draining() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, client.addr = %address, "connection ended");
        }
    }
}
