//! Analytics over REST.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, Sales};
use crate::db::Db;
use crate::events::{self, Lag, Source};
use crate::faults::{Faults, trouble};
use crate::problem::Problem;
use crate::serve;

/// What was sold, and how far that view is behind.
#[derive(Debug, Serialize, ToSchema)]
struct Answer {
    #[serde(flatten)]
    sales: Sales,
    lag: Lag,
}

/// `GET /sales`, `GET /health`, `GET /ready`.
pub fn router(db: Db, source: Source, faults: Arc<Faults>) -> Router {
    let ready = serve::ready(&db);
    let routes = Router::new()
        .route("/sales", get(read))
        .layer(middleware::from_fn_with_state(faults, trouble))
        .with_state((db, source));
    serve::with_basics(routes.merge(ready))
}

async fn read(State((db, source)): State<(Db, Source)>) -> Result<Json<Answer>, Problem> {
    let lag = events::lag(&db, &source, super::NAME).await?;
    let sales = store::sales(&mut *db.pool.acquire().await?).await?;
    Ok(Json(Answer { sales, lag }))
}
