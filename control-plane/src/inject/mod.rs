//! Injection: a sidecar beside every pod that asks for one.
//!
//! [`inject`] is a pure function from a pod to the injected pod; the [`Webhook`] asks it for the API server, [`manifest`]
//! for `weft inject`. Which pods are asked about at all is decided by the labels in the webhooks' configuration.

mod annotation;
mod container;
pub mod manifest;
mod object;
mod patch;
mod probe;
mod refusal;
#[cfg(test)]
mod tests;
mod webhook;

pub use annotation::{AnnotationError, markdown};
pub use object::Namespace;
pub use patch::{Injected, Outcome, inject};
pub use refusal::{Refusal, Skip, Warning};
pub use webhook::Webhook;

/// The label by which a namespace or a pod asks for the mesh, or a pod declines it.
pub const INJECT: &str = "weft.dev/inject";

/// The user that proxies run as. What runs as that user is not intercepted.
pub const PROXY_UID: i64 = 2102;

/// What the injector goes by, the same for every pod.
#[derive(Clone, Debug)]
pub struct InjectSettings {
    /// The image of the sidecar and of the init container.
    pub proxy_image: String,
    /// The control plane's own namespace.
    pub control_plane_namespace: String,
    /// The trust domain of every identity.
    pub trust_domain: String,
}

impl Default for InjectSettings {
    fn default() -> Self {
        Self {
            proxy_image: concat!("weft/proxy:", env!("CARGO_PKG_VERSION")).to_owned(),
            control_plane_namespace: "weft".to_owned(),
            trust_domain: "cluster.local".to_owned(),
        }
    }
}
