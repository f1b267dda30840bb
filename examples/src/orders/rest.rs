//! Orders over REST.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router, middleware};
use tonic::Code;
use tracing::warn;

use super::{NewOrder, Order, OrderError, Orders, UsersClient};
use crate::faults::{Faults, trouble};
use crate::json::{Body, read_id};
use crate::page::Page;
use crate::problem::Problem;
use crate::serve;
use crate::trace::TraceContext;

#[derive(Clone)]
struct Shop {
    orders: Arc<Orders>,
    users: UsersClient,
}

/// `GET /orders`, `GET /orders/{id}`, `POST /orders`, `GET /health`.
pub fn router(orders: Arc<Orders>, users: UsersClient, faults: Arc<Faults>) -> Router {
    let routes = Router::new()
        .route("/orders", get(list).post(create))
        .route("/orders/{id}", get(find))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state(Shop { orders, users });
    serve::with_basics(routes)
}

async fn list(State(shop): State<Shop>, page: Page) -> Json<Vec<Order>> {
    Json(shop.orders.list(page))
}

async fn find(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Json<Order>, Problem> {
    Ok(Json(shop.orders.find(read_id(&id)?)?))
}

async fn create(
    State(shop): State<Shop>,
    trace: TraceContext,
    Body(new): Body<NewOrder>,
) -> Result<impl IntoResponse, Problem> {
    new.check()?;
    let user_name = shop.users.name(new.user_id, trace).await?;
    let order = shop.orders.create(new, user_name);
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/orders/{}", order.id))], Json(order)))
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        let status = match error {
            OrderError::Unknown { .. } => StatusCode::NOT_FOUND,
            OrderError::UnknownUser { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            OrderError::Invalid(errors) => return Self::invalid(errors),
            OrderError::Users { source, .. } => {
                warn!(status = ?source.code(), message = source.message(), "no answer from users");
                match source.code() {
                    Code::DeadlineExceeded | Code::Cancelled => StatusCode::GATEWAY_TIMEOUT,
                    Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::BAD_GATEWAY,
                }
            }
        };
        Self::new(status, detail)
    }
}
