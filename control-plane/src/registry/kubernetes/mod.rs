//! The Kubernetes registry: lists and watches every kind that the index has a use for.
//!
//! Each kind has a watch of its own (`watch.rs`); what they tell is put together in `known.rs`, which tells the index of
//! nothing before all kinds have been listed. Objects are made by `translate`, as the file registry's are. A kind whose
//! CustomResourceDefinition is surely not there (`presence.rs`) counts as listed, and is looked for until it comes.

mod connect;
mod error;
mod item;
mod known;
mod pause;
mod presence;
#[cfg(test)]
mod tests;
mod watch;

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use futures_util::{StreamExt as _, stream::SelectAll};
use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use connect::{Client, ConnectError, connect};
pub use error::WatchError;

use super::{
    Condition, Event, Registry,
    translate::{HttpRoute, InboundPolicy},
};
use crate::{index::ObjectKind, telemetry::Metrics};
use known::Known;
use watch::{Tidings, Told, Watch};

/// What has come in the meantime is told at once, so that a rollout is resolved in few steps; but no more than this.
const BATCH: usize = 512;

/// A cluster's objects, by its API server.
pub struct KubernetesRegistry {
    client: Client,
    metrics: Arc<Metrics>,
    condition: channel::Sender<Arc<Condition>>,
}

impl KubernetesRegistry {
    /// A registry over a cluster, and where it says what is wrong with its objects.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> (Self, channel::Receiver<Arc<Condition>>) {
        let (condition, receiver) = channel::channel(Arc::default());
        (Self { client, metrics, condition }, receiver)
    }

    fn count(&self, kind: ObjectKind, told: &Told) {
        let (metrics, now) = (&self.metrics.cluster, SystemTime::now());
        match told {
            Told::Failed(error) => return metrics.watch_failed(kind, error.label()),
            Told::Listed(_) => metrics.listed(kind),
            Told::Applied(read) => {
                if let Some(caused) = read.caused {
                    metrics.lag(now.duration_since(caused).unwrap_or_default());
                }
            }
            Told::Deleted(_) | Told::Unchanged | Told::Absent => {}
        }
        metrics.heard(kind, now);
    }

    fn watches(&self) -> SelectAll<Tidings> {
        let client = &self.client;
        futures_util::stream::select_all([
            Watch::<Service>::new(client).tidings(),
            Watch::<EndpointSlice>::new(client).tidings(),
            Watch::<Node>::new(client).tidings(),
            Watch::<Pod>::new(client).tidings(),
            Watch::<HttpRoute>::new(client).tidings(),
            Watch::<InboundPolicy>::new(client).tidings(),
        ])
    }
}

impl Registry for KubernetesRegistry {
    /// It never gives up: an API server that is away comes back, and until then what it told holds.
    type Error = Infallible;

    async fn run(
        self,
        mut changes: impl FnMut(Vec<Event>) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let mut known = Known::new(ObjectKind::ALL);
        let mut tidings = self.watches().ready_chunks(BATCH);
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = tidings.next() => batch.unwrap_or_default(),
            };
            for (kind, told) in batch {
                self.count(kind, &told);
                known.take(kind, told);
            }
            let events = known.take_events();
            if let Some(Event::Reset(objects)) = events.first() {
                info!(objects = objects.len(), "every kind has been listed");
            }
            if !events.is_empty() {
                changes(events);
            }
            if let Some(condition) = known.take_condition() {
                self.condition.send_if_modified(|before| {
                    let differs = *before != condition;
                    *before = condition;
                    differs
                });
            }
        }
    }
}
