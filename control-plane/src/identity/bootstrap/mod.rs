//! The bundle that proxies start from: ConfigMap `weft-trust-bundle` in every namespace that has, or will have, a sidecar.
//!
//! One replica writes, under the lease. It puts back what somebody else has changed, and takes away what is no longer
//! needed. Proxies learn of later bundles by their streams; this one is for the first connection.

mod plan;
mod seen;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Trust;
use crate::{error::chain, index::Namespaces};
use plan::{Kept, Step, steps};
use seen::Seen;

const NAME: &str = "weft-trust-bundle";
const KEY: &str = "ca.pem";
const MANAGER: &str = "weft-control-plane";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that has pods injected.
const INJECTED: &str = "weft.dev/inject=enabled";
/// Requests at a time.
const AT_ONCE: usize = 8;
/// After a step that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps the ConfigMaps.
pub struct Bootstrap {
    client: Client,
    trust: watch::Receiver<Trust>,
    /// Namespaces with a pod that has a sidecar, or asks for one. None: not all pods are known yet.
    meshed: watch::Receiver<Option<Namespaces>>,
    spread: watch::Sender<Spread>,
}

/// How far the bundle has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The version of the bundle that every ConfigMap holds but those of `failed`. None: not known, or not yet.
    pub version: Option<u64>,
    /// Namespaces whose ConfigMap cannot be written for now.
    pub failed: BTreeSet<Arc<str>>,
}

impl Bootstrap {
    /// What keeps the ConfigMaps, and what they hold.
    pub fn new(
        client: Client,
        trust: watch::Receiver<Trust>,
        meshed: watch::Receiver<Option<Namespaces>>,
    ) -> (Self, watch::Receiver<Spread>) {
        let (spread, receiver) = watch::channel(Spread::default());
        (Self { client, trust, meshed, spread }, receiver)
    }

    /// Keeps them whenever this replica leads, until `stop`.
    ///
    /// # Errors
    /// Never; the type is what tasks have.
    pub async fn run(mut self, mut leads: watch::Receiver<bool>, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                // An error means that nobody will ever lead again: the end is near.
                Ok(_) = leads.wait_for(|leads| *leads) => {}
                else => return Ok(()),
            }
            let mut lost = leads.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = lost.wait_for(|leads| !leads) => {}
                () = self.keep() => {}
            }
            self.spread.send_replace(Spread::default());
        }
    }

    async fn keep(&mut self) {
        let selected = watcher::Config::default().labels(INJECTED);
        let named = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let namespaces =
            watcher(Api::<PartialObjectMeta<Namespace>>::all(self.client.clone()), selected).default_backoff();
        let bundles = watcher(Api::<ConfigMap>::all(self.client.clone()), named).default_backoff();
        let (mut namespaces, mut bundles) = (pin!(namespaces), pin!(bundles));
        let (mut labelled, mut kept) = (Seen::default(), Seen::default());
        loop {
            let meshed = self.meshed.borrow_and_update().clone();
            let retry = match (labelled.all(), meshed) {
                (Some(labelled), Some(meshed)) if kept.all().is_some() => {
                    !self.level(labelled, &meshed, &mut kept).await
                }
                _ => false,
            };
            tokio::select! {
                Some(event) = namespaces.next() => labelled.take(event, namespace),
                Some(event) = bundles.next() => kept.take(event, kept_bundle),
                Ok(()) = self.meshed.changed() => {}
                Ok(()) = self.trust.changed() => {}
                () = sleep(PAUSE), if retry => {}
            }
        }
    }

    /// Makes the cluster what it should be. Whether it is. What is written is known at once: the watch tells of one after the
    /// other, and all others would be written again each time.
    async fn level(&mut self, labelled: &Seen<()>, meshed: &Namespaces, kept: &mut Seen<Kept>) -> bool {
        let bundle = self.trust.borrow_and_update().bundle.clone();
        let pem = bundle.to_pem();
        let (mut done, mut failed) = (true, BTreeSet::new());
        for some in steps(&pem, labelled, meshed, kept).chunks(AT_ONCE) {
            let outcomes = join_all(some.iter().map(|step| self.perform(step, &pem))).await;
            for (step, outcome) in some.iter().zip(outcomes) {
                match (outcome, step) {
                    (Outcome::Done, Step::Put(namespace)) => kept.put(namespace, Kept::ours(&pem)),
                    (Outcome::Done, Step::Remove(namespace)) => kept.remove(namespace),
                    (Outcome::Ending, _) => {}
                    (Outcome::Failed, Step::Put(namespace)) => drop(failed.insert(namespace.clone())),
                    // Nobody waits for that.
                    (Outcome::Failed, Step::Remove(_)) => done = false,
                }
            }
        }
        done &= failed.is_empty();
        self.spread.send_replace(Spread { version: Some(bundle.version()), failed });
        done
    }

    async fn perform(&self, step: &Step, pem: &str) -> Outcome {
        let (namespace, action, done) = match step {
            Step::Put(namespace) => (&**namespace, "put", self.put(namespace, pem).await),
            Step::Remove(namespace) => (&**namespace, "removed", self.remove(namespace).await),
        };
        match done {
            Ok(()) => {
                info!(namespace, action, "the trust bundle's ConfigMap is as it should be");
                Outcome::Done
            }
            Err(kube::Error::Api(status)) if status.is_not_found() || is_ending(&status) => {
                debug!(namespace, "the namespace is ending");
                Outcome::Ending
            }
            Err(error) => {
                // While it lasts the log has its first word.
                if !self.spread.borrow().failed.contains(namespace) {
                    warn!(
                        namespace,
                        error = chain(&error),
                        "the ConfigMap {NAME} cannot be written, it is tried again"
                    );
                }
                Outcome::Failed
            }
        }
    }

    async fn put(&self, namespace: &str, pem: &str) -> Result<(), kube::Error> {
        let content = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "labels": {MANAGED_BY: MANAGER, "app.kubernetes.io/part-of": "weft"}},
            "data": {KEY: pem},
        });
        let whatever_others_say = PatchParams::apply(MANAGER).force();
        self.api(namespace).patch(NAME, &whatever_others_say, &Patch::Apply(content)).await.map(drop)
    }

    async fn remove(&self, namespace: &str) -> Result<(), kube::Error> {
        self.api(namespace).delete(NAME, &DeleteParams::default()).await.map(drop)
    }

    fn api(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// What has come of a step.
enum Outcome {
    Done,
    /// The ConfigMap goes with its namespace.
    Ending,
    Failed,
}

/// Nothing can be made any more in a namespace that is being deleted.
fn is_ending(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// None: it is being deleted.
fn namespace(object: &PartialObjectMeta<Namespace>) -> Option<(Arc<str>, ())> {
    object.metadata.deletion_timestamp.is_none().then(|| (object.name_any().into(), ()))
}

fn kept_bundle(object: &ConfigMap) -> Option<(Arc<str>, Kept)> {
    let pem = object.data.as_ref().and_then(|data| data.get(KEY)).cloned();
    let is_ours = object.labels().get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    Some((object.namespace()?.into(), Kept { pem, is_ours }))
}
