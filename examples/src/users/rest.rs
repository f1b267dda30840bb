//! Users over REST.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router, middleware};
use utoipa::OpenApi;

use super::{NewUser, User, UserError, store};
use crate::db::Db;
use crate::faults::{Faults, trouble};
use crate::json::{Body, read_id};
use crate::page::Page;
use crate::problem::Problem;
use crate::serve;

#[derive(OpenApi)]
#[openapi(info(title = "Users", description = "Who buys."), paths(list, find, create))]
struct Api;

/// `GET /users`, `GET /users/{id}`, `POST /users`, and what every service has.
pub fn router(db: Db, faults: Arc<Faults>) -> Router {
    let routes = Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(find))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state(db.clone());
    serve::with_basics(routes.merge(serve::ready(&db)).merge(serve::docs(Api::openapi())))
}

/// Users in the order of their ids.
#[utoipa::path(get, path = "/users", params(Page), responses((status = 200, body = [User])))]
async fn list(State(db): State<Db>, page: Page) -> Result<Json<Vec<User>>, Problem> {
    Ok(Json(store::list(&mut *db.pool.acquire().await?, page).await?))
}

/// One user.
#[utoipa::path(get, path = "/users/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = User), (status = 404, body = Problem)))]
async fn find(State(db): State<Db>, Path(id): Path<String>) -> Result<Json<User>, Problem> {
    Ok(Json(store::find(&mut *db.pool.acquire().await?, read_id(&id)?).await?))
}

/// Takes in a user.
#[utoipa::path(post, path = "/users", request_body = NewUser, responses(
    (status = 201, body = User), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn create(State(db): State<Db>, Body(new): Body<NewUser>) -> Result<impl IntoResponse, Problem> {
    let user = store::create(&mut *db.pool.acquire().await?, new).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/users/{}", user.id))], Json(user)))
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let status = match error {
            UserError::Unknown { .. } => StatusCode::NOT_FOUND,
            UserError::EmailTaken { .. } => StatusCode::CONFLICT,
            UserError::Invalid(errors) => return Self::invalid(errors),
            UserError::Database(error) => return error.into(),
        };
        Self::new(status, error.to_string())
    }
}
