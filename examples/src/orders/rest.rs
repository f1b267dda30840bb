//! Orders over REST.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use tracing::warn;
use utoipa::OpenApi;

use super::order::{Mode, NewOrder, Order, Status};
use super::partners::Failure;
use super::service::{OrderError, Orders};
use super::store::{Books, Filter};
use crate::caller::Caller;
use crate::faults::trouble;
use crate::json::{Body, read_id};
use crate::page::{Page, UserId, parameter};
use crate::problem::{FieldError, Problem};
use crate::serve;
use crate::trace::TraceContext;

/// What the service answers, as OpenAPI tells it.
#[derive(OpenApi)]
#[openapi(info(title = "orders", description = "What was bought."), paths(list, find, create, cancel, books))]
struct Api;

/// `GET /orders`, `GET /orders/{id}`, `POST /orders`, `POST /orders/{id}/cancel`, `GET /books`, and what every service has.
pub fn router(orders: Orders) -> Router {
    let (ready, docs) = (serve::ready(&orders.db), serve::docs(Api::openapi()));
    let routes = Router::new()
        .route("/orders", get(list).post(create))
        .route("/orders/{id}", get(find))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/books", get(books))
        .layer(middleware::from_fn_with_state(orders.faults.clone(), trouble))
        .with_state(orders);
    serve::with_basics(routes.merge(ready).merge(docs))
}

/// Orders in the order of their ids, which is that of time.
#[utoipa::path(
    get, path = "/orders",
    params(
        ("after" = Option<i64>, Query, description = "Only orders with a greater id"),
        ("limit" = Option<usize>, Query, description = "At most so many: 1 to 1000"),
        ("user_id" = Option<i64>, Query, description = "Only this user's"),
        ("status" = Option<Status>, Query, description = "Only those that have become this"),
    ),
    responses((status = 200, body = Vec<Order>), (status = 400, description = "A parameter that cannot be used")),
)]
async fn list(State(orders): State<Orders>, Caller(user): Caller, filter: Filter) -> Result<Json<Vec<Order>>, Problem> {
    Ok(Json(orders.list(Filter { user_id: user.or(filter.user_id), ..filter }).await?))
}

/// One order, with the steps that were taken for it so far.
#[utoipa::path(
    get, path = "/orders/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = Order), (status = 404, description = "No order has the id")),
)]
async fn find(State(orders): State<Orders>, caller: Caller, Path(id): Path<String>) -> Result<Json<Order>, Problem> {
    Ok(Json(own(&orders, caller, read_id(&id)?).await?))
}

/// Takes in an order and carries it out. An order that comes to nothing is an answer too: it is cancelled, with the reason.
#[utoipa::path(
    post, path = "/orders", request_body = NewOrder,
    params(
        ("mode" = Option<Mode>, Query, description = "How inventory and payments are brought to agree; saga where nothing is said"),
        ("Prefer" = Option<String>, Header, description = "respond-async: do not wait for the end"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible characters; the same key and order give the same answer"),
    ),
    responses(
        (status = 201, body = Order, description = "It is completed or cancelled"),
        (status = 202, body = Order, description = "It is still being worked on, after 5 s or at once by wish: ask for it at Location"),
        (status = 422, description = "It is not valid, names what nobody knows, or its key came with another order"),
        (status = 503, description = "Users or catalog do not answer; nothing was ordered"),
    ),
)]
async fn create(
    State(orders): State<Orders>,
    trace: TraceContext,
    mode: Mode,
    headers: HeaderMap,
    Body(new): Body<NewOrder>,
) -> Result<Response, Problem> {
    if Caller::of(&headers).0.is_some_and(|user| user != new.user_id) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "user_id must be your own: an order is paid by who makes it"));
    }
    let key = read_key(&headers)?;
    // RFC 7240, section 4.1.
    let order = match headers.get("prefer").is_some_and(|wish| wish == "respond-async") {
        true => orders.order_without_waiting(new, mode, key, trace).await?,
        false => orders.order(new, mode, key, trace).await?,
    };
    let status = if order.status == Status::Pending { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, [(header::LOCATION, format!("/orders/{}", order.id))], Json(order)).into_response())
}

/// Undoes an order, whatever has become of it so far. Can be repeated.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", params(("id" = i64, Path)),
    responses(
        (status = 200, body = Order, description = "It is cancelled"),
        (status = 202, body = Order, description = "It is still being worked on after 5 s: ask for it again"),
        (status = 404, description = "No order has the id"),
    ),
)]
async fn cancel(
    State(orders): State<Orders>,
    trace: TraceContext,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = own(&orders, caller, read_id(&id)?).await?.id;
    let order = orders.cancel(id, trace).await?;
    let status = if order.status == Status::Pending { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(order)).into_response())
}

/// What all orders add up to.
#[utoipa::path(get, path = "/books", responses((status = 200, body = Books)))]
async fn books(State(orders): State<Orders>) -> Result<Json<Books>, Problem> {
    Ok(Json(orders.books().await?))
}

/// The order, where it is the caller's or the edge names none. That another's order is there is nobody's business.
async fn own(orders: &Orders, Caller(user): Caller, id: i64) -> Result<Order, OrderError> {
    let order = orders.find(id).await?;
    if user.is_some_and(|user| user != order.user_id) { Err(OrderError::Unknown { id }) } else { Ok(order) }
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=200).contains(&key.len()) && !key.contains([' ', '\t']));
    let error = || FieldError::new("Idempotency-Key", "must have 1 to 200 visible characters");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::invalid(vec![error()]))
}

impl<S: Send + Sync> FromRequestParts<S> for Mode {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parameter(parts, "mode").map_or(Ok(Self::Saga), |word| word_of("mode", word))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Filter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self {
            page: Page::from_request_parts(parts, state).await?,
            user_id: UserId::from_request_parts(parts, state).await?.0,
            status: parameter(parts, "status").map(|word| word_of("status", word)).transpose()?,
        })
    }
}

fn word_of<T: TryFrom<String>>(name: &'static str, word: &str) -> Result<T, Problem>
where
    T::Error: std::fmt::Display,
{
    T::try_from(word.to_owned()).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("{name}: {error}")))
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        let status = match error {
            OrderError::Unknown { .. } => StatusCode::NOT_FOUND,
            OrderError::KeyTaken { .. } | OrderError::Partner(Failure::Refused(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            OrderError::Invalid(errors) => return Self::invalid(errors),
            OrderError::Partner(Failure::NoAnswer(_)) => {
                warn!(detail, "no answer from another service");
                StatusCode::SERVICE_UNAVAILABLE
            }
            OrderError::Database(error) => {
                warn!(%error, "the database did not answer");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, detail)
    }
}
