//! A request's way through the edge: logged, known, counted, routed, passed on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::time::Instant;
use tracing::info;
use utoipa::OpenApi;

use super::forward::forward;
use super::limit::{Key, Limit};
use super::login::{self, login, logout};
use super::route::Routes;
use super::token::Tokens;
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::{self, Problem};
use crate::serve;

/// What the edge knows and asks.
#[derive(Debug)]
pub struct Edge {
    /// Where each path leads.
    pub routes: Routes,
    /// Who says whether there is such a user.
    pub users: Client,
    /// What a user shows.
    pub tokens: Tokens,
    /// How often a caller may ask.
    pub limit: Limit,
    /// What every user of the sample logs in with.
    pub password: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Edge",
        description = "The way in. Behind it: /users, /products, /orders, /notifications, /sales, \
    /web, /mobile, each described by its own service."
    ),
    paths(login::login)
)]
struct Api;

/// `POST /login`, `POST /logout`, the routes of the shop, `GET /health` and `GET /ready`.
pub fn router(edge: Edge) -> Router {
    let edge = Arc::new(edge);
    let routes = Router::new()
        .route("/", get(|| async { Redirect::to("/web") }))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .fallback(pass)
        .layer(from_fn_with_state(edge.clone(), admit))
        .layer(from_fn(log))
        .with_state(edge);
    serve::stateless(Router::new(), Api::openapi()).fallback_service(routes)
}

/// Leads to the service that the path belongs to.
async fn pass(
    State(edge): State<Arc<Edge>>,
    Extension(Caller(user)): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(route) = edge.routes.find(request.uri().path()) else {
        return Err(problem::no_such_path(request.uri().clone()).await);
    };
    if route.access.needs_user(request.method()) {
        Caller(user).user()?;
    }
    forward(&route.service, user, request).await
}

/// Finds out who calls, and whether he may at this time.
async fn admit(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let (user, refusal) = match edge.tokens.user(request.headers()) {
        Ok(user) => (user, None),
        Err(error) => (None, Some(Problem::new(StatusCode::UNAUTHORIZED, error.to_string()))),
    };
    let key = user.map_or_else(|| Key::Address(address(&request)), Key::User);
    if let Err(wait) = edge.limit.check(key) {
        let wait = wait.as_secs() + 1;
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("too many requests; come back in {wait} s"));
        return ([(header::RETRY_AFTER, wait.to_string())], problem).into_response();
    }
    // A browser with an old cookie must be able to log in again.
    let may_enter = matches!(request.uri().path(), "/" | "/web" | "/login" | "/logout");
    let mut answer = match refusal.filter(|_| !may_enter) {
        Some(problem) => problem.into_response(),
        None => {
            request.extensions_mut().insert(Caller(user));
            next.run(request).await
        }
    };
    if answer.status() == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer.extensions_mut().insert(Caller(user));
    answer
}

/// One line for each request. A query may hold what is nobody's business, and a token always does: neither is written.
async fn log(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
    let answer = next.run(request).await;
    let user = answer.extensions().get::<Caller>().and_then(|caller| caller.0);
    info!(%method, path, status = answer.status().as_u16(), user, milliseconds = begun.elapsed().as_millis(), trace, "request");
    answer
}

fn address(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}
