//! Notifications over REST.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router, middleware};

use super::store::{self, Notification};
use crate::db::Db;
use crate::faults::{Faults, trouble};
use crate::page::{Page, UserId};
use crate::problem::Problem;
use crate::serve;

/// `GET /notifications?user_id=&after=&limit=`, `GET /health`, `GET /ready`.
pub fn router(db: Db, faults: Arc<Faults>) -> Router {
    let routes = Router::new()
        .route("/notifications", get(list))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state(db.clone());
    serve::with_basics(routes.merge(serve::ready(&db)))
}

async fn list(State(db): State<Db>, UserId(user_id): UserId, page: Page) -> Result<Json<Vec<Notification>>, Problem> {
    Ok(Json(store::list(&mut *db.pool.acquire().await?, user_id, page).await?))
}
