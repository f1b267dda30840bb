//! For a phone: names, sums and states, and no more orders than a screen has room for.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::parts::{Overview, Shop};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::serve;
use crate::trace::TraceContext;

const ORDERS: usize = 5;

#[derive(Serialize, ToSchema)]
struct Screen {
    name: Option<String>,
    orders: Vec<Order>,
    products: Vec<Product>,
    /// Only where something is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderLine)]
struct Order {
    id: i64,
    status: String,
    total_cents: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProductLine)]
struct Product {
    id: i64,
    name: String,
    price_cents: i64,
}

#[derive(OpenApi)]
#[openapi(info(title = "Mobile BFF", description = "What a phone shows, and no more."), paths(overview))]
struct Api;

/// `GET /mobile/overview`, and what every service has.
pub fn router(shop: Shop) -> Router {
    let routes = Router::new().route("/mobile/overview", get(overview)).with_state(shop);
    serve::stateless(routes, Api::openapi())
}

/// One user's name, last orders, and the products; what a service does not say within a second is missing.
#[utoipa::path(get, path = "/mobile/overview", params(Caller), responses(
    (status = 200, body = Screen), (status = 401, body = Problem), (status = 503, body = Problem)))]
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
