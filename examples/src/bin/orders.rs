//! The orders service: REST on `PORT` (8080); asks the users service at `USERS_URL` (`http://users:9090`).

use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use weft_examples::faults::Faults;
use weft_examples::orders::{Orders, UsersClient, router};
use weft_examples::{serve, settings};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    serve::log();
    let url: String = settings::parsed("USERS_URL", "http://users:9090".into(), "a URL")?;
    let users = UsersClient::new(&url).with_context(|| format!("USERS_URL is {url:?}, which is no URL"))?;
    let faults = Arc::new(Faults::from_env()?);
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(listener, router(Arc::new(Orders::new()), users, faults), stop.clone());
    serve::until_signal(stop, rest).await
}
