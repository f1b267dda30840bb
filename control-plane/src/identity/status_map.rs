//! ConfigMap `weft-identity-status` in the control plane's namespace: what `weft identity` shows to people who may read no
//! Secret. The leading replica writes it.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde::Serialize;
use serde_json::json;

/// Its name.
pub const STATUS_MAP: &str = "weft-identity-status";
/// The key in it, of JSON.
pub const STATUS_KEY: &str = "status.json";
const MANAGER: &str = "weft-control-plane";

/// Writes the ConfigMap.
pub struct StatusMap(Api<ConfigMap>);

/// A status that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It makes no JSON.
    #[error("the status makes no JSON")]
    Json(#[from] serde_json::Error),
    /// The API server did not take it.
    #[error("ConfigMap {STATUS_MAP} cannot be written: check the Role weft-control-plane")]
    Api(#[source] Box<kube::Error>),
}

impl StatusMap {
    /// The ConfigMap of the control plane's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// Writes a status.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put(&self, status: &impl Serialize) -> Result<(), StatusError> {
        let text = serde_json::to_string_pretty(status)?;
        let content = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": STATUS_MAP, "labels": {"app.kubernetes.io/part-of": "weft"}},
            "data": {STATUS_KEY: text},
        });
        let params = PatchParams::apply(MANAGER).force();
        let written = self.0.patch(STATUS_MAP, &params, &Patch::Apply(content)).await;
        written.map(drop).map_err(|error| StatusError::Api(Box::new(error)))
    }
}
