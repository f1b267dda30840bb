//! An object as it is taken off the wire: translated at once, so that nothing holds what the index has no use for.

use std::{borrow::Cow, fmt, marker::PhantomData, time::SystemTime};

use k8s_openapi::{ClusterResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    index::{Object, ObjectKey, ObjectName},
    registry::translate::{Finding, Kind, Problem},
};

/// What an object says.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) key: ObjectKey,
    /// Ok(None): there is nothing in it for the mesh. Err: its last good state holds.
    pub(super) outcome: Result<Option<Object>, Finding>,
    pub(super) warnings: Vec<Finding>,
    /// When that happened which made Kubernetes change it, where it says so.
    pub(super) caused: Option<SystemTime>,
}

/// On an EndpointSlice: when a pod's or the Service's change was the reason for the slice's (Kubernetes' well-known
/// annotations).
const CAUSED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// An object of a kind. One that is broken is an item all the same: a list does not fail for one of its objects.
pub(super) struct Item<K> {
    /// Name, namespace and resource version alone.
    meta: ObjectMeta,
    pub(super) read: Read,
    kind: PhantomData<fn() -> K>,
}

impl<K> Item<K> {
    /// The resource version at which it is so.
    pub(super) fn version(&self) -> Option<String> {
        self.meta.resource_version.clone()
    }
}

impl<'de, K: Kind> Deserialize<'de> for Item<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |field: &str| value["metadata"][field].as_str().map(str::to_owned);
        let meta = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        let name = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = ObjectName::new(&name(&meta.namespace), &name(&meta.name));
        let caused = value["metadata"]["annotations"][CAUSED].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let mut warnings = Vec::new();
        let outcome = match serde_json::from_value::<K>(value) {
            Ok(wire) => wire.object(&mut warnings),
            Err(error) => Err(Finding::at("spec", Problem::Malformed(error.to_string()))),
        };
        let key = ObjectKey { kind: K::KIND, name };
        Ok(Self { meta, read: Read { key, outcome, warnings, caused: caused.map(Into::into) }, kind: PhantomData })
    }
}

impl<K: Kind> kube::Resource for Item<K> {
    type DynamicType = ();
    /// Every kind is read in all namespaces at once, by one list.
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::KIND.as_str().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::VERSIONS[0].into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

// By hand: a derive would ask the same of `K`, which is only a name.
impl<K> Clone for Item<K> {
    fn clone(&self) -> Self {
        Self { meta: self.meta.clone(), read: self.read.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Item<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}
