//! Probes of the app, made for the kubelet: `/probe/<container>/<kind>` on the admin port.
//!
//! The kubelet's own would be intercepted: it has no identity, and the proxy would accept a connection for an app that is
//! dead. So the injector sends the kubelet here, and the app is dialled at the pod's own address, as the kubelet would.
//! Only what the injector has defined can be asked for: this is no relay. How an answer looks is the admin port's affair.

mod grpc;
mod http;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::{HeaderValue, StatusCode};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, WeakShared},
};
use tokio::{net::TcpStream, time::timeout};
use weft_api::probe::{Probe, ProbeAction, ProbeKind, Probes as Definitions};

/// What a try has shown. Shared by all that waited for it.
pub type Verdict = Result<(), Arc<ProbeError>>;

/// Why a try counts as failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The app does not accept connections.
    #[error("the app does not accept a connection on port {port}")]
    Connect {
        /// Where.
        port: u16,
        /// The system's word.
        source: io::Error,
    },
    /// No TLS with the app.
    #[error("the app's TLS does not come about")]
    Tls(#[source] io::Error),
    /// What the app answers is no HTTP.
    #[error("the app does not answer in HTTP")]
    Http(#[from] hyper::Error),
    /// The probe's own request is none.
    #[error("the probe's request cannot be sent")]
    Request(#[from] ::http::Error),
    /// The app says no.
    #[error("the app answers {status}")]
    Status {
        /// How.
        status: StatusCode,
    },
    /// The app leads in a circle.
    #[error("the app redirects more than {} times", http::MOST_REDIRECTS)]
    Redirects,
    /// The app does not speak gRPC, or has no health checks.
    #[error("the app does not answer a health check of gRPC")]
    Grpc(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The app says that it does not serve.
    #[error("the app's health check says {status}, not SERVING")]
    NotServing {
        /// What it says.
        status: &'static str,
    },
    /// The probe's limit is over.
    #[error("no answer from the app within {limit:?}")]
    Deadline {
        /// The probe's `timeoutSeconds`.
        limit: Duration,
    },
}

type Try = BoxFuture<'static, Verdict>;

/// The probes of this pod. Cheap to clone.
#[derive(Clone)]
pub struct Probes(Arc<Inner>);

struct Inner {
    address: IpAddr,
    defined: Definitions,
    /// One try of a probe at a time: who asks meanwhile waits for it. So no number of callers loads the app more.
    running: Mutex<BTreeMap<(String, ProbeKind), WeakShared<Try>>>,
}

impl Probes {
    /// `addresses`: the pod's own; the first is the one that the kubelet would dial.
    pub fn new(defined: &Definitions, addresses: &[IpAddr]) -> Self {
        let address = addresses.first().copied().unwrap_or(IpAddr::from([127, 0, 0, 1]));
        Self(Arc::new(Inner { address, defined: defined.clone(), running: Mutex::default() }))
    }

    /// Tries the probe of a path such as `app/liveness`. None: it is not defined.
    ///
    /// `agent`: the kubelet's User-Agent, which the app sees as it would without the mesh. Cancel-safe.
    pub async fn ask(&self, path: &str, agent: Option<HeaderValue>) -> Option<Verdict> {
        let (container, kind) = path.split_once('/')?;
        let kind = ProbeKind::ALL.into_iter().find(|one| one.as_str() == kind)?;
        let probe = self.0.defined.0.get(container)?.get(&kind)?;
        let running = {
            let mut all = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
            let place = (container.to_owned(), kind);
            match all.get(&place).and_then(WeakShared::upgrade) {
                Some(running) => running,
                None => {
                    let fresh = attempt(self.0.address, probe.clone(), agent).boxed().shared();
                    all.extend(fresh.downgrade().map(|weak| (place, weak)));
                    fresh
                }
            }
        };
        Some(running.await)
    }
}

/// One try, within the probe's own limit.
async fn attempt(address: IpAddr, probe: Probe, agent: Option<HeaderValue>) -> Verdict {
    let limit = Duration::from_secs(probe.timeout_seconds.max(1).into());
    let tried = timeout(limit, async {
        match &probe.action {
            ProbeAction::Grpc(action) => grpc::check(address, action, agent).await,
            ProbeAction::HttpGet(action) => http::get(address, action, agent).await,
            ProbeAction::TcpSocket(action) => connect(address, action.port).await.map(drop),
        }
    });
    tried.await.unwrap_or(Err(ProbeError::Deadline { limit })).map_err(Arc::new)
}

async fn connect(address: IpAddr, port: NonZeroU16) -> Result<TcpStream, ProbeError> {
    let connected = TcpStream::connect(SocketAddr::new(address, port.get())).await;
    connected.map_err(|source| ProbeError::Connect { port: port.get(), source })
}
