//! The objects of one kind as they stand in the cluster, with their statuses, and how a status is written.

use futures_util::{StreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store},
        watcher,
    },
};
use serde_json::{Value, json};

use crate::registry::translate::Kind;

/// All objects of a kind. They are few: routes and policies are written by people.
pub(super) struct Followed {
    pub(super) target: Target,
    store: Store<DynamicObject>,
    events: BoxStream<'static, watcher::Result<watcher::Event<DynamicObject>>>,
}

/// Where a kind's statuses are written to.
#[derive(Clone)]
pub(super) struct Target {
    client: Client,
    resource: ApiResource,
}

/// A status that was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// It is not allowed.
    #[error("{plural}/status may not be patched: apply this release's ClusterRole weft-control-plane")]
    Forbidden {
        /// The kind's name in paths.
        plural: String,
        /// The API server's word.
        source: kube::Error,
    },
    /// The object has changed, or is gone, since it was read.
    #[error("the object has changed since it was read")]
    Overtaken,
    /// Anything else.
    #[error("the API server has not taken it")]
    Api(#[source] kube::Error),
}

impl WriteError {
    /// The kind of failure, as metrics name it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::Overtaken => "overtaken",
            Self::Api(_) => "failed",
        }
    }
}

impl Followed {
    /// Follows a kind, once [`Followed::changed`] is awaited.
    pub(super) fn new<K: Kind>(client: &Client) -> Self {
        let kind = GroupVersionKind::gvk(K::GROUP, K::VERSIONS[0], K::KIND.as_str());
        let resource = ApiResource::from_gvk_with_plural(&kind, K::PLURAL);
        let writer = reflector::store::Writer::new(resource.clone());
        let store = writer.as_reader();
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let events = events.modify(|object| object.managed_fields_mut().clear()).reflect(writer).boxed();
        Self { target: Target { client: client.clone(), resource }, store, events }
    }

    /// Waits until the objects differ. What fails meanwhile is tried again: the registry tells of it. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        loop {
            match self.events.next().await {
                Some(Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone)) => return,
                Some(Ok(watcher::Event::Init | watcher::Event::InitApply(_)) | Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The objects that are there, by name, as they were last heard of.
    pub(super) fn objects(&self) -> Vec<Value> {
        self.store.state().iter().filter_map(|object| serde_json::to_value(&**object).ok()).collect()
    }
}

impl Target {
    /// The kind's name.
    pub(super) fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// Writes an object's status, if the object is still as it was read.
    pub(super) async fn write(&self, object: &Value, status: &Value) -> Result<(), WriteError> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), text("namespace"), &self.resource);
        let patch = json!({"metadata": {"resourceVersion": text("resourceVersion")}, "status": status});
        let patched = api.patch_status(text("name"), &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|error| match &error {
            kube::Error::Api(status) => match status.code {
                403 => WriteError::Forbidden { plural: self.resource.plural.clone(), source: error },
                404 | 409 => WriteError::Overtaken,
                _ => WriteError::Api(error),
            },
            _ => WriteError::Api(error),
        })
    }
}
