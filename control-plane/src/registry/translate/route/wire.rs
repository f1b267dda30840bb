//! HTTPRoute as it is written (`gateway.networking.k8s.io/v1`), with whatever this release does not know beside it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, de::IgnoredAny};

/// Fields that this release does not know, by name.
pub(super) type Unknown = BTreeMap<String, IgnoredAny>;

/// An HTTPRoute.
#[derive(Deserialize)]
pub struct HttpRoute {
    /// Kubernetes' part.
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub(super) spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(default)]
    pub(super) parent_refs: Vec<ParentRef>,
    #[serde(default)]
    pub(super) hostnames: Vec<String>,
    #[serde(default)]
    pub(super) rules: Vec<RuleSpec>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParentRef {
    pub(super) group: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) port: Option<i32>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleSpec {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) matches: Vec<MatchSpec>,
    #[serde(default)]
    pub(super) filters: Vec<IgnoredAny>,
    #[serde(default)]
    pub(super) backend_refs: Vec<BackendSpec>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) retry: Option<RetrySpec>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MatchSpec {
    pub(super) path: Option<PathSpec>,
    #[serde(default)]
    pub(super) headers: Vec<ValueSpec>,
    #[serde(default)]
    pub(super) query_params: Vec<ValueSpec>,
    pub(super) method: Option<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
pub(super) struct PathSpec {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) value: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ValueSpec {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
pub(super) struct BackendSpec {
    pub(super) group: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) port: Option<i32>,
    pub(super) weight: Option<u32>,
    #[serde(default)]
    pub(super) filters: Vec<IgnoredAny>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeouts {
    pub(super) request: Option<String>,
    pub(super) backend_request: Option<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Deserialize)]
pub(super) struct RetrySpec {
    #[serde(default)]
    pub(super) codes: Vec<u16>,
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Option<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}
