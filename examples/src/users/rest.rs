//! Users over REST.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router, middleware};

use super::{NewUser, User, UserError, Users};
use crate::faults::{Faults, trouble};
use crate::json::{Body, read_id};
use crate::page::Page;
use crate::problem::Problem;
use crate::serve;

/// `GET /users`, `GET /users/{id}`, `POST /users`, `GET /health`.
pub fn router(users: Arc<Users>, faults: Arc<Faults>) -> Router {
    let routes = Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(find))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state(users);
    serve::with_basics(routes)
}

async fn list(State(users): State<Arc<Users>>, page: Page) -> Json<Vec<User>> {
    Json(users.list(page))
}

async fn find(State(users): State<Arc<Users>>, Path(id): Path<String>) -> Result<Json<User>, Problem> {
    Ok(Json(users.find(read_id(&id)?)?))
}

async fn create(State(users): State<Arc<Users>>, Body(new): Body<NewUser>) -> Result<impl IntoResponse, Problem> {
    let user = users.create(new)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/users/{}", user.id))], Json(user)))
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        let status = match error {
            UserError::Unknown { .. } => StatusCode::NOT_FOUND,
            UserError::EmailTaken { .. } => StatusCode::CONFLICT,
            UserError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            UserError::Invalid(errors) => return Self::invalid(errors),
        };
        Self::new(status, error.to_string())
    }
}
