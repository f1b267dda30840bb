//! The service as a program.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{MIGRATIONS, note, router};
use crate::db::Db;
use crate::events::{Source, consume};
use crate::faults::Faults;
use crate::serve;

/// Serves REST on `PORT` (8080) until it is told to stop, and follows orders' events ([`Source::from_env`]).
///
/// # Errors
/// A setting that cannot be used, a port that is taken, a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let (source, faults) = (Source::from_env()?, Arc::new(Faults::from_env()?));
    let db = Db::from_env("notifications", &MIGRATIONS).await?;
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(listener, router(db.clone(), faults.clone()), stop.clone());
    let reader = consume(
        &db,
        &source,
        "notifications",
        async |connection, event| {
            faults.delay().await;
            note(connection, event).await
        },
        stop.clone(),
    );
    serve::until_signal(stop.clone(), async { tokio::join!(rest, reader).0 }).await
}
