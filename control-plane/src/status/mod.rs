//! What the control plane has made of routes and policies, written into their own status: by the holder of the lease alone.
//!
//! It says what `translate` and the index say, and decides nothing itself. An object is written to only when its status
//! is not what it should be, so a settled cluster is not written to at all. Entries of other controllers stay as they are.

mod condition;
mod follow;
mod policy;
mod route;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use weft_api::ServiceName;

use crate::{
    cluster::Cluster,
    error::chain,
    registry::translate::{HttpRoute, InboundPolicy},
    serve::Hub,
    telemetry::Metrics,
};
use follow::{Followed, Target, WriteError};

/// Who says so, in `status.parents`.
const CONTROLLER: &str = "weft.dev/mesh";
/// How long what happens is gathered before it is looked at: one `kubectl apply` changes many things.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is looked whether the Services have changed.
const LOOK: Duration = Duration::from_secs(2);
/// How long after a write has failed it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The TCP ports of every Service.
pub(crate) type Services = BTreeMap<ServiceName, BTreeSet<u16>>;

/// Writes statuses while this replica holds the lease.
pub struct StatusWriter {
    cluster: Cluster,
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
}

impl StatusWriter {
    /// Nothing is read or written before [`StatusWriter::run`].
    pub fn new(cluster: Cluster, hub: Arc<Hub>, metrics: Arc<Metrics>) -> Self {
        Self { cluster, hub, metrics }
    }

    /// Writes whenever this replica holds the lease, until it is stopped.
    ///
    /// # Errors
    /// Never: what fails is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let writing = async {
            self.hub.synced().await;
            let mut holds_lease = self.cluster.holds_lease.clone();
            loop {
                // Its sender ends at the drain only, and then this does.
                if holds_lease.wait_for(|holds| *holds).await.is_err() {
                    return std::future::pending::<Infallible>().await;
                }
                let mut lost = holds_lease.clone();
                tokio::select! {
                    biased;
                    _ = lost.wait_for(|holds| !*holds) => {}
                    never = self.keep() => match never {},
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            never = writing => match never {},
        }
    }

    /// Keeps every status as it should be.
    async fn keep(&self) -> Infallible {
        let mut routes = Followed::new::<HttpRoute>(&self.cluster.client);
        let mut policies = Followed::new::<InboundPolicy>(&self.cluster.client);
        let mut services = Services::new();
        let mut due: Option<Instant> = None;
        loop {
            let look = Instant::now() + LOOK;
            tokio::select! {
                () = routes.changed() => due = due.or(Some(Instant::now() + GATHER)),
                () = policies.changed() => due = due.or(Some(Instant::now() + GATHER)),
                () = sleep_until(due.unwrap_or(look).min(look)) => {}
            }
            let now = self.hub.services();
            if now != services {
                services = now;
                due = due.or(Some(Instant::now() + GATHER));
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                let clock = Time(Timestamp::now());
                let mut settled = self
                    .settle(&routes.target, routes.objects(), |object| route::status(object, &services, &clock))
                    .await;
                settled &=
                    self.settle(&policies.target, policies.objects(), |object| policy::status(object, &clock)).await;
                due = if settled { None } else { Some(Instant::now() + RETRY) };
            }
        }
    }

    /// Writes those statuses that are not what they should be. Whether all are now, or will be when they are heard of.
    async fn settle(&self, target: &Target, objects: Vec<Value>, wanted: impl Fn(&Value) -> Option<Value>) -> bool {
        let (kind, mut settled) = (target.kind(), true);
        for object in objects {
            let Some(status) = wanted(&object) else { continue };
            let outcome = target.write(&object, &status).await;
            let name = &object["metadata"]["name"];
            match &outcome {
                Ok(()) => info!(kind, %name, namespace = %object["metadata"]["namespace"], "status written"),
                Err(WriteError::Overtaken) => debug!(kind, %name, "it has changed meanwhile, and is looked at again"),
                Err(error) => {
                    warn!(kind, %name, problem = chain(error), "status not written");
                    settled = false;
                }
            }
            self.metrics.cluster.status_written(kind, outcome.as_ref().err().map_or("written", WriteError::label));
        }
        settled
    }
}
