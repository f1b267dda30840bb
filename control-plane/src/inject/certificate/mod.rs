//! The webhook's own serving certificate: made, kept in a Secret, renewed, and made known to the API server.
//!
//! Every replica does all of it. What they write follows from what they read and names the version that it was read at,
//! so two that are awake at once write the same or one is told that it comes late. No lease is needed.

mod held;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{Stream, StreamExt as _, stream};
use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};
use weft_certs::{Serving, ServingError};

use crate::{shutdown::Shutdown, telemetry::Metrics};
use held::{Content, Held};

const SECRET: &str = "weft-webhook-certificate";
const CONFIGURATION: &str = "weft-injector";
/// Of tap, which is served with the same certificate.
const API_SERVICE: &str = "v1alpha1.tap.weft.dev";
/// The Secret is looked at this often at least: what is due comes with time alone.
const LOOK: Duration = Duration::from_secs(600);
/// After a pass that went wrong.
const PAUSE: Duration = Duration::from_secs(2);
/// How long one request to the API server may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Keeps the certificate.
pub struct Certificate {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    api_services: Api<APIService>,
    names: Vec<String>,
    served: watch::Sender<Option<Serving>>,
    /// The Secret's certificate that is served, so that the same is not loaded again.
    loaded: Option<ByteString>,
    metrics: Arc<Metrics>,
}

/// A pass that went wrong. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The Secret.
    #[error("the Secret {SECRET} cannot be read or written: apply this release's Role weft-control-plane")]
    Secret(#[source] kube::Error),
    /// The webhooks' configuration.
    #[error(
        "the MutatingWebhookConfiguration {CONFIGURATION} cannot be read or patched: install it, and this release's \
         ClusterRole weft-control-plane"
    )]
    Configuration(#[source] kube::Error),
    /// The APIService of tap.
    #[error(
        "the APIService {API_SERVICE} cannot be read or patched: apply this release's ClusterRole weft-control-plane"
    )]
    ApiService(#[source] kube::Error),
    /// The API server.
    #[error("the API server did not answer within {REQUEST_LIMIT:?}")]
    Late,
    /// A certificate.
    #[error(transparent)]
    Serving(#[from] ServingError),
}

impl Certificate {
    /// A keeper, and what is to be served at each moment. None: there is none yet.
    pub fn new(client: Client, namespace: &str, metrics: Arc<Metrics>) -> (Self, watch::Receiver<Option<Serving>>) {
        let (served, serves) = watch::channel(None);
        let keeper = Self {
            secrets: Api::namespaced(client.clone(), namespace),
            configurations: Api::all(client.clone()),
            api_services: Api::all(client),
            names: vec![format!("weft-control-plane.{namespace}.svc")],
            served,
            loaded: None,
            metrics,
        };
        (keeper, serves)
    }

    /// Works until the drain begins: at once, when one of the two objects changes, and with time.
    ///
    /// # Errors
    /// Never: what goes wrong is told of and tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut changes = std::pin::pin!(self.changes());
        loop {
            let pause = match self.pass(SystemTime::now()).await {
                Ok(()) => LOOK,
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    warn!(%error, cause, "the injector's certificate could not be kept");
                    PAUSE
                }
            };
            tokio::select! {
                biased;
                () = shutdown.draining() => return Ok(()),
                () = sleep(pause) => {}
                // After an error the pause is kept: a change that cannot be followed would be tried in a circle.
                Some(()) = changes.next(), if pause == LOOK => {}
            }
        }
    }

    /// One item each time that the Secret or the configuration has changed.
    fn changes(&self) -> impl Stream<Item = ()> + use<> {
        let only = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let secrets = watcher(self.secrets.clone(), only(SECRET)).default_backoff();
        let configurations = watcher(self.configurations.clone(), only(CONFIGURATION)).default_backoff();
        // What goes wrong with a watch goes wrong with the pass too, which says so.
        let secrets = secrets.touched_objects().filter_map(async |one| one.ok().map(drop));
        let configurations = configurations.touched_objects().filter_map(async |one| one.ok().map(drop));
        let api_services = watcher(self.api_services.clone(), only(API_SERVICE)).default_backoff();
        let api_services = api_services.touched_objects().filter_map(async |one| one.ok().map(drop));
        stream::select(api_services, stream::select(secrets, configurations))
    }

    /// Does what is due at `now`.
    async fn pass(&mut self, now: SystemTime) -> Result<(), CertificateError> {
        let content = self.secret(now).await?;
        let held = Held::read(&content)?;
        let certificate = content.get(held::CERTIFICATE);
        if self.loaded.as_ref() != certificate {
            self.loaded = certificate.cloned();
            self.serve(&held.serving);
        }
        self.publish(&held.bundle).await?;
        self.publish_to_tap(&held.bundle).await
    }

    fn serve(&self, serving: &Serving) {
        info!("the injector serves a new certificate");
        self.metrics.injector.serves_until(serving.validity().not_after);
        self.served.send_replace(Some(serving.clone()));
    }

    /// The Secret as it should be, made or renewed if it is not.
    async fn secret(&self, now: SystemTime) -> Result<Content, CertificateError> {
        let Some(secret) = limited(self.secrets.get_opt(SECRET)).await?.map_err(CertificateError::Secret)? else {
            let content = held::fresh(&self.names, now)?;
            let created = limited(self.secrets.create(&PostParams::default(), &self.object(content, None))).await?;
            return created.map(content_of).map_err(CertificateError::Secret);
        };
        let version = secret.metadata.resource_version.clone();
        let content = content_of(secret);
        let due = match Held::read(&content) {
            Ok(held) => held.renewed(&content, &self.names, now)?,
            Err(error) => {
                warn!(%error, "the Secret {SECRET} is not usable: it is made anew");
                Some(held::fresh(&self.names, now)?)
            }
        };
        let Some(content) = due else { return Ok(content) };
        let replacement = self.object(content, version);
        let replaced = limited(self.secrets.replace(SECRET, &PostParams::default(), &replacement)).await?;
        replaced.map(content_of).map_err(CertificateError::Secret)
    }

    fn object(&self, content: Content, version: Option<String>) -> Secret {
        let labels = [("app.kubernetes.io/name", "weft-control-plane"), ("app.kubernetes.io/part-of", "weft")];
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let metadata = ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some(labels.collect()),
            resource_version: version,
            ..ObjectMeta::default()
        };
        let kind = Some("kubernetes.io/tls".to_owned());
        Secret { metadata, type_: kind, data: Some(content), ..Secret::default() }
    }

    /// Tells the API server whom to believe, in each webhook that does not say so yet.
    async fn publish(&self, bundle: &str) -> Result<(), CertificateError> {
        let found = limited(self.configurations.get(CONFIGURATION)).await?.map_err(CertificateError::Configuration)?;
        let wanted = ByteString(bundle.as_bytes().to_vec());
        let webhooks = found.webhooks.unwrap_or_default();
        let stale =
            webhooks.iter().enumerate().filter(|(_, one)| one.client_config.ca_bundle.as_ref() != Some(&wanted));
        let operations: Vec<_> = stale
            .flat_map(|(index, one)| {
                [
                    // The place is by number, so it must still be the same webhook's.
                    json!({ "op": "test", "path": format!("/webhooks/{index}/name"), "value": one.name }),
                    json!({ "op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": wanted }),
                ]
            })
            .collect();
        if operations.is_empty() {
            return Ok(());
        }
        let patch: json_patch::Patch = serde_json::from_value(json!(operations))
            .map_err(kube::Error::SerdeError)
            .map_err(CertificateError::Configuration)?;
        let patch = Patch::Json::<()>(patch);
        let patched = limited(self.configurations.patch(CONFIGURATION, &PatchParams::default(), &patch)).await?;
        patched.map_err(CertificateError::Configuration)?;
        info!(webhooks = operations.len() / 2, "the API server is told whom the injector's certificate is from");
        Ok(())
    }

    /// The same for tap's APIService. Without one there is no tap, as whoever removed it wants.
    async fn publish_to_tap(&self, bundle: &str) -> Result<(), CertificateError> {
        let found = limited(self.api_services.get_opt(API_SERVICE)).await?.map_err(CertificateError::ApiService)?;
        let wanted = ByteString(bundle.as_bytes().to_vec());
        let Some(spec) = found.and_then(|found| found.spec).filter(|spec| spec.ca_bundle.as_ref() != Some(&wanted))
        else {
            return Ok(());
        };
        let patch = Patch::Merge(json!({ "spec": { "caBundle": wanted } }));
        let patched = limited(self.api_services.patch(API_SERVICE, &PatchParams::default(), &patch)).await?;
        patched.map_err(CertificateError::ApiService)?;
        info!(group = spec.group, "the API server is told whom tap's certificate is from");
        Ok(())
    }
}

fn content_of(secret: Secret) -> Content {
    secret.data.unwrap_or_default()
}

async fn limited<T>(request: impl Future<Output = T>) -> Result<T, CertificateError> {
    timeout(REQUEST_LIMIT, request).await.map_err(|_| CertificateError::Late)
}
