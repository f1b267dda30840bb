//! The registry over REST.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::{OpenApi, ToSchema};

use super::leases::{Instances, LONGEST, Leases};
use crate::json::Body;
use crate::problem::{FieldError, Problem};
use crate::serve;

/// How long a watch is held open without news.
const HOLD: Duration = Duration::from_secs(8);

/// What an instance says with each heartbeat.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Heartbeat {
    /// After so long without another, it is taken to be gone: 1 to 10,000 ms.
    pub lease_ms: u64,
}

/// The leases, and who waits for news of them.
#[derive(Clone, Debug)]
pub struct Registry {
    leases: Arc<watch::Sender<Leases>>,
    stop: CancellationToken,
}

impl Registry {
    /// Without a lease. Watches end with `stop`.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { leases: Arc::new(watch::Sender::new(Leases::new(Instant::now()))), stop }
    }

    /// Lets leases run out until `stop`.
    pub async fn expire(self) {
        let mut news = self.leases.subscribe();
        loop {
            self.change(|leases| leases.expire(Instant::now()));
            let next = news.borrow_and_update().next_end().unwrap_or_else(|| Instant::now() + LONGEST);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep_until(next) => {}
                _ = news.changed() => {}
            }
        }
    }

    /// Wakes those who wait only where the list has become another.
    fn change(&self, change: impl FnOnce(&mut Leases)) {
        self.leases.send_if_modified(|leases| {
            let before = leases.version();
            change(leases);
            leases.version() != before
        });
    }

    async fn other_than(&self, service: &str, known: u64) -> Instances {
        let mut news = self.leases.subscribe();
        let change = timeout(HOLD, news.wait_for(|leases| leases.version() != known));
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = change => {}
        }
        self.leases.borrow().of(service, Instant::now())
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Registry", description = "Who is there, for clients that choose for themselves."),
    paths(list, renew, end)
)]
struct Api;

/// `PUT` and `DELETE /services/{name}/{address}`, `GET /services/{name}` (with `?known=VERSION` it waits for another
/// version, 8 s at most), and what every service has.
pub fn router(registry: Registry) -> Router {
    let routes = Router::new()
        .route("/services/{name}", get(list))
        .route("/services/{name}/{address}", put(renew).delete(end))
        .with_state(registry);
    serve::stateless(routes, Api::openapi())
}

/// Begins or renews the lease of an instance.
#[utoipa::path(put, path = "/services/{name}/{address}", params(("name" = String, Path), ("address" = String, Path)),
    request_body = Heartbeat, responses((status = 204), (status = 422, body = Problem)))]
async fn renew(
    State(registry): State<Registry>,
    Path((name, address)): Path<(String, String)>,
    Body(Heartbeat { lease_ms }): Body<Heartbeat>,
) -> Result<StatusCode, Problem> {
    let lease = Duration::from_millis(lease_ms);
    let is_address =
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let errors: Vec<_> = [
        (!(1..=63).contains(&name.len())).then(|| FieldError::new("name", "must have 1 to 63 characters")),
        (!is_address || address.len() > 261).then(|| FieldError::new("address", "must be such as 10.0.0.7:8080")),
        (lease.is_zero() || lease > LONGEST).then(|| FieldError::new("lease_ms", "must be 1 to 10000")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let mut is_taken = false;
    registry.change(|leases| is_taken = leases.renew(&name, &address, lease, Instant::now()));
    if !is_taken {
        return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "there is no room for another instance"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the lease of an instance.
#[utoipa::path(delete, path = "/services/{name}/{address}", params(("name" = String, Path), ("address" = String, Path)),
    responses((status = 204)))]
async fn end(State(registry): State<Registry>, Path((name, address)): Path<(String, String)>) -> StatusCode {
    registry.change(|leases| leases.end(&name, &address));
    StatusCode::NO_CONTENT
}

/// The instances of a service; with `known`, once there is another version, or after 8 s.
#[utoipa::path(get, path = "/services/{name}", params(("name" = String, Path), ("known" = Option<u64>, Query)),
    responses((status = 200, body = Instances)))]
async fn list(
    State(registry): State<Registry>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Instances>, Problem> {
    let Some(known) = query.as_deref().and_then(|query| query.strip_prefix("known=")) else {
        return Ok(Json(registry.leases.borrow().of(&name, Instant::now())));
    };
    let known = known.parse();
    let known =
        known.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "known must be a version that came from here"))?;
    Ok(Json(registry.other_than(&name, known).await))
}
