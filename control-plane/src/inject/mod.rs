//! Injection: a sidecar beside every pod that asks for one.
//!
//! [`inject`] is a pure function from a pod to the injected pod; the [`Webhook`] asks it for the API server, [`manifest`]
//! for `weft inject`. Which pods are asked about at all is decided by the labels in the webhooks' configuration.

mod annotation;
mod certificate;
mod container;
pub mod manifest;
mod object;
mod patch;
mod probe;
mod refusal;
#[cfg(test)]
mod tests;
mod webhook;

use std::{convert::Infallible, sync::Arc};

use kube::Client;
use tokio::{net::TcpListener, sync::watch};
use weft_certs::Serving;

use crate::{shutdown::Shutdown, telemetry::Metrics};

pub use annotation::{AnnotationError, markdown};
pub use certificate::{Certificate, CertificateError};
pub use object::Namespace;
pub use patch::{Injected, Outcome, inject};
pub use refusal::{Refusal, Skip, Warning};
pub use webhook::Webhook;

/// Whether the injector can answer.
#[derive(Clone)]
pub struct Readiness(watch::Receiver<Option<Serving>>);

impl Readiness {
    /// Once it has a certificate.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// The certificate that it serves with at each moment.
    pub fn serving(&self) -> watch::Receiver<Option<Serving>> {
        self.0.clone()
    }
}

/// Serves the webhook, and keeps its certificate, until the drain begins.
pub fn start(
    client: Client,
    listener: TcpListener,
    settings: InjectSettings,
    metrics: Arc<Metrics>,
    shutdown: &Shutdown,
) -> Readiness {
    let (certificate, serves) = Certificate::new(client.clone(), &settings.control_plane_namespace, metrics.clone());
    shutdown.spawn("injector-certificate", certificate.run(shutdown.clone()));
    let serving = Webhook::new(client, settings, metrics).serve(listener, serves.clone(), shutdown.clone());
    shutdown.spawn("injector", async move {
        serving.await;
        Ok::<_, Infallible>(())
    });
    Readiness(serves)
}

/// The label by which a namespace or a pod asks for the mesh, or a pod declines it.
pub const INJECT: &str = "weft.dev/inject";

/// The user that proxies run as. What runs as that user is not intercepted.
pub const PROXY_UID: i64 = 2102;

/// The proxy of the same release.
pub const DEFAULT_PROXY_IMAGE: &str = concat!("weft/proxy:", env!("CARGO_PKG_VERSION"));

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
            proxy_image: DEFAULT_PROXY_IMAGE.to_owned(),
            control_plane_namespace: "weft".to_owned(),
            trust_domain: "cluster.local".to_owned(),
        }
    }
}
