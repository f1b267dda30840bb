//! What all parts that work with a cluster share: a client, and whether this replica may write.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::watch;

use crate::{
    config::Config,
    lease::{Lease, LeaseSettings},
    registry::kubernetes::{Client, ConnectError, connect},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// A cluster, by its API server.
#[derive(Clone)]
pub struct Cluster {
    /// Cheap to clone.
    pub client: Client,
    /// Whether this replica is the one that writes what only one may. What it writes must name the resource version that
    /// it was decided on all the same: see [`crate::lease`].
    pub holds_lease: watch::Receiver<bool>,
}

impl Cluster {
    /// Joins the cluster that this process runs in or that KUBECONFIG names, and takes part in the lease until the drain.
    ///
    /// # Errors
    /// No cluster is known. That its API server does not answer is no error: it is waited for.
    pub async fn join(config: &Config, metrics: &Arc<Metrics>, shutdown: &Shutdown) -> Result<Self, ConnectError> {
        let client = connect().await?;
        let settings = LeaseSettings { namespace: config.namespace.clone(), holder: config.pod_name.clone() };
        let (lease, holds_lease) = Lease::new(client.clone(), settings);
        shutdown.spawn("lease", lease.run(shutdown.drain_token()));
        shutdown.spawn("lease-metric", show(holds_lease.clone(), metrics.clone()));
        Ok(Self { client, holds_lease })
    }
}

/// Ends when the lease's task does.
async fn show(mut holds_lease: watch::Receiver<bool>, metrics: Arc<Metrics>) -> Result<(), Infallible> {
    loop {
        metrics.cluster.lease_held.set((*holds_lease.borrow_and_update()).into());
        if holds_lease.changed().await.is_err() {
            return Ok(());
        }
    }
}
