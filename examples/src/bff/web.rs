//! For a browser: everything of one user in one answer, and the pages.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::Markup;
use serde_json::json;
use utoipa::OpenApi;

use super::page;
use super::parts::{Order, Overview, Shop, there};
use crate::caller::Caller;
use crate::json::read_id;
use crate::problem::Problem;
use crate::serve;
use crate::trace::TraceContext;

/// Orders takes up to 5 s before it says that it is still at it.
const ORDER_DEADLINE: Duration = Duration::from_secs(8);
/// Scripts and styles come from here alone, and nobody may frame the page.
const POLICY: &str = "default-src 'self'; frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(info(title = "Web BFF", description = "What a browser shows: one answer, and pages."), paths(overview))]
struct Api;

/// `GET /web/overview`, what every service has, and under `/web` the pages and their forms.
pub fn router(shop: Shop) -> Router {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    let routes = Router::new()
        .route("/web", get(front))
        .route("/web/overview", get(overview))
        .route("/web/orders", post(order))
        .route("/web/orders/{id}", get(watch))
        .route("/web/orders/{id}/steps", get(steps))
        .route("/web/orders/{id}/cancel", post(cancel))
        .route("/web/live.js", file("text/javascript", include_str!("live.js")))
        .route("/web/shop.css", file("text/css", include_str!("shop.css")))
        .with_state(shop);
    serve::stateless(routes, Api::openapi())
}

/// One user, all orders of that user, and the products; what a service does not say within a second is missing.
#[utoipa::path(get, path = "/web/overview", params(Caller), responses(
    (status = 200, body = Overview), (status = 401, body = Problem), (status = 503, body = Problem)))]
async fn overview(State(shop): State<Shop>, caller: Caller, trace: TraceContext) -> Result<Json<Overview>, Problem> {
    Ok(Json(shop.overview(caller.user()?, &trace).await?))
}

async fn front(State(shop): State<Shop>, Caller(user): Caller, trace: TraceContext) -> Response {
    let Some(user) = user else {
        let (users, products) = tokio::join!(shop.some_users(&trace), shop.products(&trace));
        let mut missing = Vec::new();
        let users = there("users", users, &mut missing).unwrap_or_default();
        let products = there("catalog", products, &mut missing).unwrap_or_default();
        return html(StatusCode::OK, page::welcome(&users, &products, &missing));
    };
    match shop.overview(user, &trace).await {
        Ok(overview) => html(StatusCode::OK, page::front(&overview)),
        Err(problem) => trouble(&problem),
    }
}

/// The key of the form makes one order of two clicks.
async fn order(
    State(shop): State<Shop>,
    caller: Caller,
    trace: TraceContext,
    body: String,
) -> Result<Response, Problem> {
    let user = caller.user()?;
    let form: Vec<_> = form_urlencoded::parse(body.as_bytes()).collect();
    let field = |name: &str| form.iter().find(|(other, _)| other == name).map_or("", |(_, value)| &**value);
    let items = json!([{ "product_id": read_id(field("product_id"))?, "quantity": read_id(field("quantity"))? }]);
    let mode = form_urlencoded::Serializer::new(String::new()).append_pair("mode", field("mode")).finish();
    let mut headers = HeaderMap::new();
    headers.insert("prefer", HeaderValue::from_static("respond-async"));
    if let Ok(key) = HeaderValue::from_str(field("key")) {
        headers.insert(HeaderName::from_static("idempotency-key"), key);
    }
    let body = json!({ "user_id": user, "items": items });
    Ok(ask_orders(shop, &format!("/orders?{mode}"), &body, headers, &trace).await)
}

async fn cancel(
    State(shop): State<Shop>,
    caller: Caller,
    trace: TraceContext,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = shop.order(read_id(&id)?, caller.user()?, &trace).await?;
    Ok(ask_orders(shop, &format!("/orders/{}/cancel", order.id), &json!({}), HeaderMap::new(), &trace).await)
}

/// Asks orders for something, and leads to the order's page.
async fn ask_orders(
    shop: Shop,
    path: &str,
    body: &serde_json::Value,
    headers: HeaderMap,
    trace: &TraceContext,
) -> Response {
    match shop.orders.within(ORDER_DEADLINE).post::<Order>(path, body, headers, trace).await {
        Ok(order) => Redirect::to(&format!("/web/orders/{}", order.id)).into_response(),
        Err(failure) => trouble(&failure.into()),
    }
}

async fn watch(
    State(shop): State<Shop>,
    caller: Caller,
    trace: TraceContext,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    match shop.order(read_id(&id)?, caller.user()?, &trace).await {
        Ok(order) => Ok(html(StatusCode::OK, page::order(&order))),
        Err(problem) => Ok(trouble(&problem)),
    }
}

/// What the page of an order asks for again and again.
async fn steps(
    State(shop): State<Shop>,
    caller: Caller,
    trace: TraceContext,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let order = shop.order(read_id(&id)?, caller.user()?, &trace).await?;
    Ok(html(StatusCode::OK, page::steps(&order)))
}

fn trouble(problem: &Problem) -> Response {
    html(problem.status(), page::trouble(problem))
}

fn html(status: StatusCode, markup: Markup) -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Html(markup.into_string())).into_response()
}
