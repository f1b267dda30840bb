//! The services as programs.

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::parts::Shop;
use super::{mobile, web};
use crate::serve;

/// Serves the web's BFF on `PORT` (8080) until it is told to stop; asks `USERS_REST_URL`, `CATALOG_URL` and `ORDERS_URL`.
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run_web() -> anyhow::Result<()> {
    run(web::router(Shop::from_env()?)).await
}

/// Serves the phones' BFF, with the settings of [`run_web`].
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run_mobile() -> anyhow::Result<()> {
    run(mobile::router(Shop::from_env()?)).await
}

async fn run(router: Router) -> anyhow::Result<()> {
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;
    let stop = CancellationToken::new();
    serve::until_signal(stop.clone(), serve::rest(listener, router, stop)).await
}
