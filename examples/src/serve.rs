//! How a service runs: listeners, logs, and an end that finishes what is in flight.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::problem;
use crate::settings::{self, SettingError};

const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Logs to standard error, one line an event.
pub fn log() {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).with_target(false).init();
}

/// A port from the environment.
///
/// # Errors
/// A value that is no port.
pub fn port(name: &'static str, default: u16) -> Result<u16, SettingError> {
    settings::parsed(name, default, "a port from 1 to 65535")
}

/// Listens on `port` of every address, or of `HOST` alone where that is set.
///
/// # Errors
/// A `HOST` that is no address, or a port that is taken.
pub async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let any = (Ipv6Addr::UNSPECIFIED, port).into();
    let host = settings::parsed("HOST", Ipv6Addr::UNSPECIFIED.into(), "an address")?;
    let listener = match TcpListener::bind(SocketAddr::new(host, port)).await {
        // A machine without IPv6 has no `::`.
        Err(_) if SocketAddr::new(host, port) == any => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        other => other,
    };
    listener.with_context(|| format!("cannot listen on port {port}"))
}

/// What every REST service has besides its own routes: `/health`, and problems for what it does not know.
///
/// `/health` is added last, so that no middleware of the routes (such as faults) touches it.
pub fn with_basics(routes: Router) -> Router {
    routes
        .route("/health", get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) }))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
}

/// Serves `router` until `stop`, then finishes what is in flight.
///
/// # Errors
/// A listener that breaks.
pub async fn rest(listener: TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    info!(%address, "serving REST");
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// Runs `servers` until SIGTERM or SIGINT, then cancels `stop` and gives them 10 s to finish.
///
/// # Errors
/// The first error of `servers`, or no right to watch signals.
pub async fn until_signal<F>(stop: CancellationToken, servers: F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut servers = pin!(servers);
    tokio::select! {
        ended = &mut servers => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping: finishing what is in flight");
    stop.cancel();
    if let Ok(ended) = tokio::time::timeout(DRAIN_DEADLINE, servers).await {
        return ended;
    }
    warn!(deadline = ?DRAIN_DEADLINE, "stopped with requests in flight");
    Ok(())
}
