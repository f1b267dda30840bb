//! What the API server asks for: what there is, and taps.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Extension, Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tracing::info;
use weft_api::pb::ObserveRequest;

use super::{
    Api, GROUP, MOST_PROXIES, MOST_TAPS, VERSION,
    front_proxy::FrontProxy,
    review::{self, Refused},
    session::{Proxy, Tap},
    target::{RESOURCES, Target},
};
use crate::error::chain;

/// Why there is no tap.
#[derive(Debug, thiserror::Error)]
enum TapError {
    #[error("the API server names no user")]
    Nobody,
    #[error("{resource} cannot be tapped, but {} can", RESOURCES.join(", "))]
    Resource { resource: String },
    #[error(
        "{name:?} is no filter with a value that it takes: there are method, path, least_status, most_status and from"
    )]
    Filter { name: String },
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("there is no pod behind {resource}/{name} in the namespace {namespace:?}")]
    NoPod { resource: String, name: String, namespace: String },
    #[error(
        "none of the {pods} pods behind {resource}/{name} has a sidecar: label its namespace weft.dev/inject: enabled and \
         restart it"
    )]
    NoProxy { pods: usize, resource: String, name: String },
    #[error("this control plane serves {MOST_TAPS} taps already: end one of them")]
    TooMany,
}

impl Api {
    /// Paths as the API server passes them on, from callers that have proved to be it.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route(
                "/apis",
                get(|| async { Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]})) }),
            )
            .route("/apis/tap.weft.dev", get(|| async { Json(group()) }))
            .route("/apis/tap.weft.dev/v1alpha1", get(|| async { Json(resources()) }))
            .route("/openapi/v2", get(|| async { Json(openapi()) }))
            .route("/openapi/v3", get(|| async { Json(json!({"paths": {}})) }))
            .route("/apis/tap.weft.dev/v1alpha1/watch/namespaces/{namespace}/{resource}/{name}/tap", get(tap))
            .with_state(self)
    }

    async fn tap(
        &self,
        front_proxy: &FrontProxy,
        headers: &HeaderMap,
        asked: (Target, &str),
    ) -> Result<Body, TapError> {
        let (target, query) = asked;
        let caller = front_proxy.caller(headers).ok_or(TapError::Nobody)?;
        if !RESOURCES.contains(&target.resource.as_str()) {
            return Err(TapError::Resource { resource: target.resource });
        }
        review::may(&self.client, &caller, &target).await?;
        let (wanted, from) = filter(query, target.service())?;
        let (proxies, left_out) = self.proxies(&target)?;
        let permit = self.taps.clone().try_acquire_owned().map_err(|_| TapError::TooMany)?;
        info!(
            user = caller.user,
            namespace = target.namespace,
            target = format!("{}/{}", target.resource, target.name),
            "tap"
        );
        let tap = Tap { hub: self.hub.clone(), authority: self.authority.clone(), wanted, from };
        Ok(Body::from_stream(tap.lines(proxies, left_out, (self.shutdown.drain_token(), permit))))
    }

    /// Whom to ask, and how many pods are not asked.
    fn proxies(&self, target: &Target) -> Result<(Vec<Proxy>, usize), TapError> {
        let Target { namespace, resource, name } = target.clone();
        let (pods, mut proxies) = self.hub.with_index(|index| {
            let pods: Vec<_> = target.pods(index).collect();
            let proxies: Vec<_> = pods.iter().filter_map(|pod| Proxy::beside(pod, &self.trust_domain)).collect();
            (pods.len(), proxies)
        });
        if pods == 0 {
            return Err(TapError::NoPod { resource, name, namespace });
        }
        if proxies.is_empty() {
            return Err(TapError::NoProxy { pods, resource, name });
        }
        proxies.truncate(MOST_PROXIES);
        let left_out = pods - proxies.len();
        Ok((proxies, left_out))
    }
}

/// What the query asks for.
fn filter(query: &str, service: String) -> Result<(ObserveRequest, String), TapError> {
    let (mut wanted, mut from) = (ObserveRequest { service, ..ObserveRequest::default() }, String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "method" => wanted.method = value.into_owned(),
            "path" => wanted.path_prefix = value.into_owned(),
            "from" => from = value.into_owned(),
            "least_status" => wanted.least_status = status(&name, &value)?,
            "most_status" => wanted.most_status = status(&name, &value)?,
            _ => return Err(TapError::Filter { name: name.into_owned() }),
        }
    }
    Ok((wanted, from))
}

fn status(name: &str, value: &str) -> Result<u32, TapError> {
    let status = value.parse().ok().filter(|status| (100..=999).contains(status));
    status.ok_or_else(|| TapError::Filter { name: name.to_owned() })
}

async fn tap(
    State(api): State<Api>,
    Extension(front_proxy): Extension<Arc<FrontProxy>>,
    Path((namespace, resource, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = (Target { namespace, resource, name }, query.as_deref().unwrap_or_default());
    match api.tap(&front_proxy, &headers, asked).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response(),
        Err(error) => refusal(&error),
    }
}

/// As clients of the API server know errors.
fn refusal(error: &TapError) -> Response {
    let (status, reason) = match error {
        TapError::Nobody => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        TapError::Refused(Refused::No { .. }) => (StatusCode::FORBIDDEN, "Forbidden"),
        TapError::Refused(Refused::Api(_) | Refused::Late) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        TapError::Resource { .. } | TapError::NoPod { .. } => (StatusCode::NOT_FOUND, "NotFound"),
        TapError::NoProxy { .. } => (StatusCode::CONFLICT, "Conflict"),
        TapError::Filter { .. } => (StatusCode::BAD_REQUEST, "BadRequest"),
        TapError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                      "message": chain(error), "reason": reason, "code": status.as_u16()});
    (status, Json(body)).into_response()
}

fn group() -> serde_json::Value {
    let version = json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version})
}

fn resources() -> serde_json::Value {
    let resource = |plural: &&str| json!({"name": format!("{plural}/tap"), "singularName": "", "namespaced": true, "kind": "Tap", "verbs": ["watch"]});
    let all: Vec<_> = RESOURCES.iter().map(resource).collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/{VERSION}"), "resources": all})
}

/// The API server asks for it, and complains without.
fn openapi() -> serde_json::Value {
    json!({"swagger": "2.0", "info": {"title": "weft tap", "version": VERSION}, "paths": {}})
}
