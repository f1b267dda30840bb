//! The service as a program.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{MIGRATIONS, router};
use crate::db::Db;
use crate::faults::Faults;
use crate::serve;

/// Serves REST on `PORT` (8080) until it is told to stop, over `DATABASE_URL`.
///
/// # Errors
/// A setting that cannot be used, a port that is taken, or a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let faults = Arc::new(Faults::from_env()?);
    let db = Db::from_env("catalog", &MIGRATIONS).await?;
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;
    let stop = CancellationToken::new();
    serve::until_signal(stop.clone(), serve::rest(listener, router(db, faults), stop)).await
}
