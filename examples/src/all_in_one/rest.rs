//! The monolith over REST: what a client needs to order, as the services offer it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use utoipa::OpenApi;

use super::buy::{BuyError, buy};
use crate::catalog::{self, Product};
use crate::db::Db;
use crate::inventory::InventoryError;
use crate::json::Body;
use crate::orders::{Books, NewOrder, Order, books};
use crate::page::Page;
use crate::payments::PaymentError;
use crate::problem::Problem;
use crate::serve;

#[derive(OpenApi)]
#[openapi(info(title = "All in one", description = "The shop as a monolith."), paths(products, order, add_up))]
struct Api;

#[derive(Clone)]
struct Shop {
    db: Db,
    opening_cents: i64,
}

/// `GET /products`, `POST /orders`, `GET /books`, and what every service has.
pub fn router(db: Db, opening_cents: i64) -> Router {
    let basics = serve::ready(&db).merge(serve::docs(Api::openapi()));
    let routes = Router::new()
        .route("/products", get(products))
        .route("/orders", post(order))
        .route("/books", get(add_up))
        .with_state(Shop { db, opening_cents });
    serve::with_basics(routes.merge(basics))
}

/// Products in the order of their ids.
#[utoipa::path(get, path = "/products", params(Page), responses((status = 200, body = [Product])))]
async fn products(State(shop): State<Shop>, page: Page) -> Result<Json<Vec<Product>>, Problem> {
    Ok(Json(catalog::list(&mut *shop.db.pool.acquire().await?, page).await?))
}

/// Takes in an order and carries it out, or leaves nothing of it.
#[utoipa::path(post, path = "/orders", request_body = NewOrder,
    responses((status = 201, body = Order), (status = 422, body = Problem)))]
async fn order(State(shop): State<Shop>, Body(new): Body<NewOrder>) -> Result<(StatusCode, Json<Order>), Problem> {
    let mut transaction = shop.db.begin().await?;
    let order = buy(&mut transaction, new, shop.opening_cents).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(order)))
}

/// What all orders add up to.
#[utoipa::path(get, path = "/books", responses((status = 200, body = Books)))]
async fn add_up(State(shop): State<Shop>) -> Result<Json<Books>, Problem> {
    Ok(Json(books(&mut *shop.db.pool.acquire().await?).await?))
}

impl From<BuyError> for Problem {
    fn from(error: BuyError) -> Self {
        match error {
            BuyError::Invalid(errors) => Self::invalid(errors),
            BuyError::Database(error)
            | BuyError::Stock(InventoryError::Database(error))
            | BuyError::Money(PaymentError::Database(error)) => error.into(),
            BuyError::User(crate::users::UserError::Database(error)) => error.into(),
            BuyError::Product(catalog::CatalogError::Database(error)) => error.into(),
            refused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("nothing was ordered: {refused}")),
        }
    }
}
