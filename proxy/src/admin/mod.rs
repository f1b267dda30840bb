//! The admin port: probes, metrics and, on loopback only, control.
//!
//! On the pod's address it answers `GET /live /ready /metrics` and the app's probes. What shows or changes more answers on loopback alone, which
//! only the pod's own containers reach. Serves with hyper on the control runtime; nothing here is on the data path.

mod answer;
mod readiness;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use readiness::{Condition, Readiness};

use crate::{
    limit::{PeerCap, PeerPermit},
    probe::Probes,
    shutdown::Shutdown,
    telemetry::{LogControl, Metrics},
};

/// Connections that are served at the same time on one address; more are closed at once.
const CONNECTIONS: usize = 256;
/// And of one client: the app lives by probes that come here, so nobody may keep the kubelet out.
const CONNECTIONS_OF_ONE: usize = 16;
/// How long a connection may take for its request, and stay without one.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after the kernel refuses to accept, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the admin port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: another process may use the port (WEFT_ADMIN_PORT, WEFT_ADMIN_ADDRESSES)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No address is of a family that this machine has.
    #[error("no admin address can be bound on this machine: set WEFT_ADMIN_ADDRESSES to one that can")]
    NoAddress,
}

/// What the admin port shows and changes.
pub struct Admin {
    /// What /metrics shows.
    pub metrics: Arc<Metrics>,
    /// What /ready shows.
    pub readiness: Readiness,
    /// What /log-level shows and changes.
    pub log: LogControl,
    /// What /probe/... asks the app.
    pub probes: Probes,
    /// What /config shows: all that the proxy believes, without secrets.
    pub beliefs: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// What /drain and /shutdown set going.
    pub shutdown: Shutdown,
}

/// Binds the port on each address. A family that the kernel lacks is left out. Call on the control runtime.
///
/// # Errors
/// An address is taken, or none can be bound.
pub fn bind(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, AdminError> {
    let mut listeners = Vec::new();
    for address in addresses.iter().map(|address| SocketAddr::new(*address, port)) {
        match listen(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if family_is_missing(&error) => debug!(%address, %error, "address left out"),
            Err(source) => return Err(AdminError::Bind { address, source }),
        }
    }
    if listeners.is_empty() { Err(AdminError::NoAddress) } else { Ok(listeners) }
}

/// Serves until the proxy stops.
pub fn start(admin: Admin, listeners: Vec<TcpListener>) {
    let admin = Arc::new(admin);
    let shutdown = admin.shutdown.clone();
    for listener in listeners {
        shutdown.spawn("admin", |stop| serve(Arc::clone(&admin), listener, stop));
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

fn family_is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

async fn serve(admin: Arc<Admin>, listener: TcpListener, stop: CancellationToken) -> Result<(), Infallible> {
    let (mut connections, clients) = (JoinSet::new(), PeerCap::new(CONNECTIONS_OF_ONE));
    if let Ok(address) = listener.local_addr() {
        info!(%address, "admin port open");
    }
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((io, client)) if connections.len() < CONNECTIONS => match clients.enter(client.ip()) {
                    Ok(permit) => {
                        connections.spawn(connection(Arc::clone(&admin), io, permit));
                    }
                    Err(error) => debug!(%error, "admin connection closed"),
                },
                Ok((_, client)) => debug!(client.addr = %client, "too many admin connections"),
                Err(error) => {
                    warn!(%error, "admin port cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(admin: Arc<Admin>, io: TcpStream, _permit: PeerPermit) {
    // The address that the client reached, not the client's own: what arrives on loopback came from this pod.
    let on_loopback = io.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let service = service_fn(|request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(answer::answer(&admin, on_loopback, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_DEADLINE)
        .serve_connection(TokioIo::new(io), service);
    if let Err(error) = served.await {
        debug!(%error, "admin connection ended");
    }
}
