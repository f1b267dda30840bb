//! The service as a program.

use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{Orders, UsersClient, router};
use crate::faults::Faults;
use crate::{serve, settings};

/// Serves REST on `PORT` (8080) until it is told to stop; asks the users service at `USERS_URL` (`http://users:9090`).
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run() -> anyhow::Result<()> {
    let url: String = settings::parsed("USERS_URL", "http://users:9090".into(), "a URL")?;
    let users = UsersClient::new(&url).with_context(|| format!("USERS_URL is {url:?}, which is no URL"))?;
    let faults = Arc::new(Faults::from_env()?);
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(listener, router(Arc::new(Orders::new()), users, faults), stop.clone());
    serve::until_signal(stop, rest).await
}
