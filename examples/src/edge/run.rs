//! The service as a program.

use std::num::NonZeroU32;

use tokio_util::sync::CancellationToken;

use super::{Edge, Limit, Routes, Tokens, router};
use crate::{serve, settings};

/// Serves REST on `PORT` (8080) until it is told to stop. `JWT_SECRET` signs the tokens, `LOGIN_PASSWORD` (shop) is what
/// users log in with, `RATE_LIMIT` (50) how many requests a second one caller may make; where the services are:
/// `USERS_REST_URL`, `CATALOG_URL`, `ORDERS_URL`, `NOTIFICATIONS_URL`, `ANALYTICS_URL`, `WEB_BFF_URL`, `MOBILE_BFF_URL`.
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run() -> anyhow::Result<()> {
    const RATE: NonZeroU32 = NonZeroU32::new(50).unwrap();
    let edge = Edge {
        routes: Routes::from_env()?,
        users: settings::service("USERS_REST_URL", "http://users:8080")?,
        tokens: Tokens::from_env()?,
        limit: Limit::new(settings::parsed("RATE_LIMIT", RATE, "a number of requests a second, from 1 on")?),
        password: settings::parsed("LOGIN_PASSWORD", "shop".into(), "a password")?,
    };
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;
    let stop = CancellationToken::new();
    serve::until_signal(stop.clone(), serve::rest(listener, router(edge), stop)).await
}
