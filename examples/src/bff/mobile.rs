//! For a phone: names, sums and states, and no more orders than a screen has room for.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::parts::{Overview, Shop};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::serve;
use crate::trace::TraceContext;

const ORDERS: usize = 5;

#[derive(Serialize)]
struct Screen {
    name: Option<String>,
    orders: Vec<Order>,
    products: Vec<Product>,
    /// Only where something is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'static str>,
}

#[derive(Serialize)]
struct Order {
    id: i64,
    status: String,
    total_cents: i64,
}

#[derive(Serialize)]
struct Product {
    id: i64,
    name: String,
    price_cents: i64,
}

/// `GET /mobile/overview`, `GET /health`.
pub fn router(shop: Shop) -> Router {
    serve::with_basics(Router::new().route("/mobile/overview", get(overview)).with_state(shop))
}

async fn overview(State(shop): State<Shop>, caller: Caller, trace: TraceContext) -> Result<Json<Screen>, Problem> {
    let Overview { user, orders, products, missing } = shop.overview(caller.user()?, &trace).await?;
    let order = |order: super::Order| Order { id: order.id, status: order.status, total_cents: order.total_cents };
    Ok(Json(Screen {
        name: user.map(|user| user.name),
        orders: orders.into_iter().take(ORDERS).map(order).collect(),
        products: products
            .into_iter()
            .map(|product| Product { id: product.id, name: product.name, price_cents: product.price_cents })
            .collect(),
        missing: missing.into_iter().map(|one| one.part).collect(),
    }))
}
