//! One request to the admin port, and its answer.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body;
use serde_json::json;

use super::Admin;
use crate::{error::chain, probe::ProbeError};

type Answer = Response<Full<Bytes>>;

/// The longest body that is read: a list of log levels.
const BODY: usize = 4096;

/// A path, who may use it, and how.
struct Page {
    path: &'static str,
    methods: &'static [Method],
    only_loopback: bool,
}

const PAGES: [Page; 7] = [
    Page { path: "/live", methods: &[Method::GET, Method::HEAD], only_loopback: false },
    Page { path: "/ready", methods: &[Method::GET, Method::HEAD], only_loopback: false },
    Page { path: "/metrics", methods: &[Method::GET, Method::HEAD], only_loopback: false },
    Page { path: "/config", methods: &[Method::GET, Method::HEAD], only_loopback: true },
    Page { path: "/log-level", methods: &[Method::GET, Method::HEAD, Method::PUT], only_loopback: true },
    Page { path: "/drain", methods: &[Method::POST], only_loopback: true },
    Page { path: "/shutdown", methods: &[Method::POST], only_loopback: true },
];

/// Answers one request. `on_loopback`: the client reached this proxy on loopback.
pub(super) async fn answer<B>(admin: &Admin, on_loopback: bool, request: Request<B>) -> Answer
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    if let Some(path) = request.uri().path().strip_prefix("/probe/") {
        return probe(admin, path, &request).await;
    }
    let Some(page) = PAGES.iter().find(|page| page.path == request.uri().path()) else {
        let paths: Vec<_> = PAGES.iter().map(|page| page.path).collect();
        return text(StatusCode::NOT_FOUND, format!("there is no such page; there are {}", paths.join(" ")));
    };
    if page.only_loopback && !on_loopback {
        let port = request.uri().port_u16().unwrap_or(4191);
        let help = format!("{} answers on loopback only: from within the pod, ask 127.0.0.1:{port}", page.path);
        return text(StatusCode::FORBIDDEN, help);
    }
    if !page.methods.contains(request.method()) {
        return wrong_method(page);
    }
    match page.path {
        "/live" => text(StatusCode::OK, "live"),
        "/ready" => ready(admin),
        "/metrics" => metrics(admin),
        "/config" => json_answer(StatusCode::OK, &(admin.beliefs)()),
        "/log-level" if request.method() == Method::PUT => change_log_level(admin, request).await,
        "/log-level" => log_level(admin),
        "/drain" => {
            admin.shutdown.drain();
            text(StatusCode::OK, "draining")
        }
        _ => {
            admin.shutdown.leave();
            text(StatusCode::OK, "leaving")
        }
    }
}

/// Answers as the app has: the kubelet's event then names the app's own status.
async fn probe<B>(admin: &Admin, path: &str, request: &Request<B>) -> Answer {
    const METHODS: &[Method] = &[Method::GET, Method::HEAD];
    if !METHODS.contains(request.method()) {
        return wrong_method(&Page { path: "/probe", methods: METHODS, only_loopback: false });
    }
    match admin.probes.ask(path, request.headers().get(header::USER_AGENT).cloned()).await {
        None => text(StatusCode::NOT_FOUND, "there is no such probe in WEFT_PROBES"),
        Some(Ok(())) => text(StatusCode::OK, "ok"),
        Some(Err(error)) => {
            let status = match *error {
                ProbeError::Status { status } => status,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            text(status, chain(&*error))
        }
    }
}

fn ready(admin: &Admin) -> Answer {
    admin.metrics.refresh();
    let draining = admin.shutdown.handle().is_draining();
    let ready = admin.readiness.is_ready() && !draining;
    let body = json!({
        "ready": ready,
        "draining": draining,
        "conditions": admin.readiness.states(),
        "discovery_age_seconds": admin.metrics.discovery_age().map(|age| age.as_secs_f64()),
    });
    json_answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
}

fn metrics(admin: &Admin) -> Answer {
    match admin.metrics.scrape() {
        Ok(body) => typed(StatusCode::OK, prometheus::TEXT_FORMAT, body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be written: {error}")),
    }
}

fn log_level(admin: &Admin) -> Answer {
    match admin.log.level() {
        Ok(level) => text(StatusCode::OK, level),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn change_log_level<B>(admin: &Admin, request: Request<B>) -> Answer
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let body = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")),
    };
    match admin.log.change(&String::from_utf8_lossy(&body)) {
        Ok(()) => log_level(admin),
        Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

fn wrong_method(page: &Page) -> Answer {
    let methods: Vec<_> = page.methods.iter().map(Method::as_str).collect();
    let methods = methods.join(", ");
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes {methods}", page.path));
    if let Ok(allowed) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    typed(status, "application/json", format!("{body:#}"))
}

fn text(status: StatusCode, body: impl Into<String>) -> Answer {
    typed(status, "text/plain; charset=utf-8", body.into())
}

fn typed(status: StatusCode, kind: &'static str, mut body: String) -> Answer {
    if !body.ends_with('\n') {
        body.push('\n');
    }
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
