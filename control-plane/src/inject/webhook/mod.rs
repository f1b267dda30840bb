//! The webhook: the API server asks it about each pod that is made and that its configuration selects.
//!
//! `POST /inject` takes an AdmissionReview and answers with one. What becomes of a pod is [`super::inject`]'s decision.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use k8s_openapi::api::core::v1::Namespace as KubernetesNamespace;
use kube::{
    Api, Client,
    core::{
        DynamicObject,
        admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation},
    },
};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};
use weft_certs::Serving;

use super::{InjectSettings, Namespace, Outcome, inject};
use crate::{
    limit::PeerCap,
    listen::{accept, secure},
    shutdown::Shutdown,
    telemetry::{Admission, Metrics},
};

/// A pod that etcd takes has 1.5 MiB at most; the review repeats little of it.
const MOST_BYTES: usize = 3 << 20;
/// An API server has one for each pod that is being made just now.
const MOST_CONNECTIONS: usize = 1024;
/// Of one address; anybody may connect, and is to leave room for the API server.
const OF_ONE_ADDRESS: usize = 256;
/// Both shorter than the 5 s that the API server waits, so that it gets a reason rather than silence.
const NAMESPACE_DEADLINE: Duration = Duration::from_secs(2);
const REQUEST_DEADLINE: Duration = Duration::from_secs(4);
/// How long it goes on after the drain has begun: until then the API server may not know that this replica goes.
const LAST_CALLS: Duration = Duration::from_secs(3);
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(120);

/// Answers the API server.
#[derive(Clone)]
pub struct Webhook {
    namespaces: Api<KubernetesNamespace>,
    settings: Arc<InjectSettings>,
    metrics: Arc<Metrics>,
}

/// Why a review has no answer about its pod.
#[derive(Debug, thiserror::Error)]
enum ReviewError {
    #[error("the body did not come whole, or is above {MOST_BYTES} bytes")]
    Body(#[source] axum::Error),
    #[error("there was no answer within {REQUEST_DEADLINE:?}: try again")]
    Deadline,
    #[error("the body is no AdmissionReview of admission.k8s.io/v1")]
    NotAReview(#[source] serde_json::Error),
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("namespace {namespace} cannot be looked up, and with it the defaults of its pods: try again")]
    Namespace {
        namespace: String,
        #[source]
        source: kube::Error,
    },
    #[error("the API server did not say in time what namespace {namespace} asks for: try again")]
    Late { namespace: String },
    #[error("the patch cannot be written")]
    Patch(#[from] kube::core::admission::SerializePatchError),
}

impl Webhook {
    /// A webhook that looks namespaces up by `client`.
    pub fn new(client: Client, settings: InjectSettings, metrics: Arc<Metrics>) -> Self {
        Self { namespaces: Api::all(client), settings: Arc::new(settings), metrics }
    }

    /// Serves until shortly after the drain has begun, with the certificate of each moment; connections wait for the first.
    pub async fn serve(
        self,
        listener: TcpListener,
        mut certificate: watch::Receiver<Option<Serving>>,
        shutdown: Shutdown,
    ) {
        tokio::select! {
            () = shutdown.draining() => return,
            there = certificate.wait_for(Option::is_some) => if there.is_err() { return },
        }
        if let Ok(address) = listener.local_addr() {
            info!(%address, "injector serves");
        }
        let router = self.router();
        let end = async {
            shutdown.draining().await;
            sleep(LAST_CALLS).await;
        };
        let addresses = PeerCap::new(OF_ONE_ADDRESS);
        accept(listener, MOST_CONNECTIONS, end, &shutdown, |io, address| {
            let config = certificate.borrow().as_ref().map(Serving::server);
            let (router, shutdown, held) = (router.clone(), shutdown.clone(), addresses.enter(address.ip()));
            async move {
                if held.is_some() {
                    serve(config, router, io, (address, shutdown)).await;
                }
            }
        })
        .await;
    }

    fn router(self) -> Router {
        Router::new().route("/inject", post(review)).with_state(self)
    }

    /// The answer to one review.
    async fn answer(&self, body: &[u8]) -> Result<AdmissionResponse, ReviewError> {
        let mut review: Value = serde_json::from_slice(body).map_err(ReviewError::NotAReview)?;
        // The pod as it came: through a type, fields that are newer than the type would be lost.
        let pod = review.pointer_mut("/request/object").map(Value::take).unwrap_or_default();
        let review =
            serde_json::from_value::<AdmissionReview<DynamicObject>>(review).map_err(ReviewError::NotAReview)?;
        let request: AdmissionRequest<DynamicObject> = review.try_into().map_err(|_| ReviewError::NoRequest)?;
        let response = AdmissionResponse::from(&request);
        if request.kind.kind != "Pod" || request.operation != Operation::Create || request.sub_resource.is_some() {
            return Ok(response);
        }
        let namespace = self.namespace(request.namespace.as_deref().unwrap_or("default")).await?;
        self.decide(&pod, &namespace, response)
    }

    fn decide(
        &self,
        pod: &Value,
        namespace: &Namespace,
        response: AdmissionResponse,
    ) -> Result<AdmissionResponse, ReviewError> {
        let name = pod["metadata"]["name"].as_str().or_else(|| pod["metadata"]["generateName"].as_str());
        let (name, namespace_name) = (name.unwrap_or_default(), namespace.name.as_str());
        match inject(pod, namespace, &self.settings) {
            Ok(Outcome::Injected(injected)) => {
                debug!(pod = name, namespace = namespace_name, "pod injected");
                self.metrics.injector.admitted(Admission::Injected);
                let mut response = response.with_patch(injected.patch(pod))?;
                response.warnings = Some(injected.warnings.iter().map(told).collect());
                Ok(response)
            }
            Ok(Outcome::Skipped(skip)) => {
                debug!(pod = name, namespace = namespace_name, reason = ?skip, "pod left as it is");
                self.metrics.injector.admitted(Admission::Skipped);
                let mut response = response;
                response.warnings = skip.warning().map(|warning| vec![told(warning)]);
                Ok(response)
            }
            Err(refusal) => {
                info!(pod = name, namespace = namespace_name, %refusal, "pod refused");
                self.metrics.injector.admitted(Admission::Refused);
                let mut response = response.deny(refusal);
                response.result.code = StatusCode::FORBIDDEN.as_u16();
                Ok(response)
            }
        }
    }

    async fn namespace(&self, name: &str) -> Result<Namespace, ReviewError> {
        let found = timeout(NAMESPACE_DEADLINE, self.namespaces.get(name)).await;
        let found = found.map_err(|_| ReviewError::Late { namespace: name.to_owned() })?;
        let metadata = found.map_err(|source| ReviewError::Namespace { namespace: name.to_owned(), source })?.metadata;
        let all = |pairs: Option<BTreeMap<String, String>>| pairs.unwrap_or_default();
        Ok(Namespace { name: name.to_owned(), labels: all(metadata.labels), annotations: all(metadata.annotations) })
    }
}

/// Warnings of many webhooks stand in a row: ours say whose they are.
fn told(warning: impl std::fmt::Display) -> String {
    format!("weft: {warning}")
}

async fn review(State(webhook): State<Webhook>, body: Body) -> Response {
    let began = Instant::now();
    let answer = timeout(REQUEST_DEADLINE, async {
        let body = to_bytes(body, MOST_BYTES).await.map_err(ReviewError::Body)?;
        webhook.answer(&body).await
    });
    let answer = answer.await.unwrap_or(Err(ReviewError::Deadline));
    webhook.metrics.injector.took(began.elapsed());
    match answer {
        Ok(response) => Json(response.into_review()).into_response(),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, cause, "review not answered");
            webhook.metrics.injector.admitted(Admission::Failed);
            let status = match error {
                ReviewError::Body(_) | ReviewError::NotAReview(_) | ReviewError::NoRequest => StatusCode::BAD_REQUEST,
                ReviewError::Deadline | ReviewError::Late { .. } | ReviewError::Namespace { .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                ReviewError::Patch(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{error}\n")).into_response()
        }
    }
}

async fn serve(
    config: Option<Arc<ServerConfig>>,
    router: Router,
    io: TcpStream,
    (address, shutdown): (SocketAddr, Shutdown),
) {
    let Some(config) = config else { return };
    let Some(io) = secure(config, io, address).await else { return };
    let draining = shutdown.drain_token().is_cancelled();
    let mut http = http1::Builder::new();
    // What comes after the drain has begun is answered, and not kept.
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).keep_alive(!draining);
    let connection = http.serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.draining(), if !draining => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, client.addr = %address, "connection ended");
    }
}
