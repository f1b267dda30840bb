//! The catalog over REST.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa::OpenApi;

use super::{CatalogError, NewProduct, Product, store};
use crate::db::Db;
use crate::faults::{Faults, trouble};
use crate::json::{Body, read_id};
use crate::page::Page;
use crate::problem::Problem;
use crate::serve;

#[derive(OpenApi)]
#[openapi(info(title = "Catalog", description = "What can be bought."), paths(list, find, create))]
struct Api;

/// `GET /products`, `GET /products/{id}`, `POST /products`, and what every service has.
pub fn router(db: Db, faults: Arc<Faults>) -> Router {
    let routes = Router::new()
        .route("/products", get(list).post(create))
        .route("/products/{id}", get(find))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state(db.clone());
    serve::with_basics(routes.merge(serve::ready(&db)).merge(serve::docs(Api::openapi())))
}

/// Products in the order of their ids.
#[utoipa::path(get, path = "/products", params(Page), responses((status = 200, body = [Product])))]
async fn list(State(db): State<Db>, page: Page) -> Result<Json<Vec<Product>>, Problem> {
    Ok(Json(store::list(&mut *db.pool.acquire().await?, page).await?))
}

/// One product.
#[utoipa::path(get, path = "/products/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = Product), (status = 404, body = Problem)))]
async fn find(State(db): State<Db>, Path(id): Path<String>) -> Result<Json<Product>, Problem> {
    Ok(Json(store::find(&mut *db.pool.acquire().await?, read_id(&id)?).await?))
}

/// Takes in a product.
#[utoipa::path(post, path = "/products", request_body = NewProduct,
    responses((status = 201, body = Product), (status = 422, body = Problem)))]
async fn create(State(db): State<Db>, Body(new): Body<NewProduct>) -> Result<impl IntoResponse, Problem> {
    let product = store::create(&mut *db.pool.acquire().await?, new).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/products/{}", product.id))], Json(product)))
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unknown { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            CatalogError::Invalid(errors) => Self::invalid(errors),
            CatalogError::Database(error) => error.into(),
        }
    }
}
