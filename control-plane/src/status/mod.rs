//! What the control plane has made of routes and policies, written into their own status: by the holder of the lease alone.
//!
//! It says what `translate` and the index say, and decides nothing itself. An object is written to only when its status
//! is not what it should be, so a settled cluster is not written to at all. Entries of other controllers stay as they are.

mod condition;
mod failure;
mod follow;
mod policy;
mod route;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

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
    serve::{Hub, RouteTarget},
    telemetry::Metrics,
};
use failure::Failures;
use follow::{Followed, Target, WriteError};

/// Who says so, in `status.parents`.
const CONTROLLER: &str = "weft.dev/mesh";
/// How long what happens is gathered before it is looked at: one `kubectl apply` changes many things.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is looked whether the Services have changed.
const LOOK: Duration = Duration::from_secs(2);

/// What routes can name.
type Services = BTreeMap<ServiceName, RouteTarget>;

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
        let (mut services, mut failures) = (Services::new(), Failures::default());
        let mut look = Instant::now();
        let mut due: Option<Instant> = None;
        loop {
            let changed = tokio::select! {
                () = routes.changed() => true,
                () = policies.changed() => true,
                () = sleep_until(due.map_or(look, |due| due.min(look))) => false,
            };
            let now = Instant::now();
            let is_due = due.is_some_and(|due| due <= now);
            let mut is_news = changed;
            if is_due || look <= now {
                look = now + LOOK;
                let there = self.hub.services();
                is_news |= there != services;
                services = there;
            }
            if is_due {
                let clock = Time(Timestamp::now());
                failures.begin();
                let wanted = |object: &Value| route::status(object, &services, &clock);
                self.settle(&routes.target, routes.objects(), wanted, &mut failures).await;
                let wanted = |object: &Value| policy::status(object, &clock);
                self.settle(&policies.target, policies.objects(), wanted, &mut failures).await;
                due = failures.due();
            } else if is_news {
                let soon = now + GATHER;
                due = Some(due.map_or(soon, |due| due.min(soon)));
            }
        }
    }

    /// Writes those statuses that are not what they should be, but for those that have failed not long ago.
    async fn settle(
        &self,
        target: &Target,
        objects: Vec<Value>,
        wanted: impl Fn(&Value) -> Option<Value>,
        failures: &mut Failures,
    ) {
        let kind = target.kind();
        if failures.holds(kind, "") {
            return;
        }
        for object in objects {
            let Some(status) = wanted(&object) else { continue };
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let (name, version) = (format!("{kind} {}/{}", text("namespace"), text("name")), text("resourceVersion"));
            if failures.holds(&name, version) {
                continue;
            }
            let outcome = target.write(&object, &status).await;
            self.metrics.cluster.status_written(kind, outcome.as_ref().err().map_or("written", WriteError::label));
            match outcome {
                Ok(()) => info!(object = name, "status written"),
                Err(WriteError::Overtaken) => debug!(object = name, "it has changed meanwhile, and is looked at again"),
                // Nor may any other of the kind.
                Err(error @ WriteError::Forbidden { .. }) => return fail(failures, kind, "", &error),
                Err(error) => fail(failures, &name, version, &error),
            }
        }
    }
}

fn fail(failures: &mut Failures, what: &str, version: &str, error: &WriteError) {
    let problem = chain(error);
    if failures.note(what, version, problem.clone()) {
        warn!(what, problem, "status not written, it is tried again");
    }
}
