//! The admin port: is it alive, is it ready and what is wrong, figures, and what it believes.
//!
//! `/snapshot` and `POST /rotate-issuer` answer callers on loopback only.

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};
use tracing::{info, warn};

use crate::{
    identity::Authority, inject, registry::Complaint, registry::Condition, serve::Hub, shutdown::Shutdown,
    telemetry::Metrics,
};

/// What the admin port speaks of.
#[derive(Clone)]
pub struct Admin {
    /// What is believed.
    pub hub: Arc<Hub>,
    /// Who signs.
    pub authority: Arc<Authority>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// What is wrong with the registry's objects.
    pub condition: watch::Receiver<Arc<Condition>>,
    /// Whether pods can be injected; None: there is no cluster to ask about them.
    pub injector: Option<inject::Readiness>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Why not.
    reasons: Vec<&'static str>,
    /// Files and objects whose last good state is kept.
    broken: Vec<Complaint>,
    /// What is not understood.
    warnings: Vec<Complaint>,
}

#[derive(Serialize)]
struct Rotated {
    issuer: String,
}

impl Admin {
    /// Serves until the drain begins.
    ///
    /// # Errors
    /// The port cannot be served any more.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.draining().await }).await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/live", get(|| async { "live\n" }))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/targets", get(targets))
            .route("/snapshot", get(snapshot))
            .route("/rotate-issuer", post(rotate_issuer))
            .with_state(self)
    }
}

/// A broken file does not make it unready: its last good state is served, and that is better than none.
async fn ready(State(admin): State<Admin>) -> Response {
    let condition = admin.condition.borrow().clone();
    let unread = (!admin.hub.is_synced()).then_some("the registry has not been read yet");
    let injector = admin.injector.as_ref().is_none_or(inject::Readiness::is_ready);
    let uncertified = (!injector).then_some("the injector has no certificate yet; the log says why");
    let reasons: Vec<_> = unread.into_iter().chain(uncertified).collect();
    let (broken, warnings) = (condition.broken.clone(), condition.warnings.clone());
    let ready = reasons.is_empty();
    let readiness = Readiness { ready, reasons, broken, warnings };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.hub.measure_lag();
    match admin.metrics.text() {
        Ok(text) => ([("content-type", "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn targets(State(admin): State<Admin>) -> Response {
    Json(admin.hub.targets()).into_response()
}

async fn snapshot(State(admin): State<Admin>, ConnectInfo(client): ConnectInfo<SocketAddr>) -> Response {
    if !is_loopback(client) {
        return forbidden();
    }
    Json(admin.hub.picture()).into_response()
}

async fn rotate_issuer(State(admin): State<Admin>, ConnectInfo(client): ConnectInfo<SocketAddr>) -> Response {
    if !is_loopback(client) {
        return forbidden();
    }
    match admin.authority.rotate_issuer().await {
        Ok(issuer) => {
            info!(issuer, "issuer replaced");
            admin.metrics.certificates.issuer_rotations.inc();
            Json(Rotated { issuer }).into_response()
        }
        Err(error) => {
            warn!(%error, "issuer could not be replaced");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

fn is_loopback(client: SocketAddr) -> bool {
    client.ip().to_canonical().is_loopback()
}

fn forbidden() -> Response {
    (StatusCode::FORBIDDEN, "on loopback only\n").into_response()
}
