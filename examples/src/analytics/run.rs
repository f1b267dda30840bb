//! The service as a program.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{MIGRATIONS, NAME, apply, router};
use crate::db::Db;
use crate::events::{Source, consume};
use crate::faults::Faults;
use crate::serve;

/// Serves REST on `PORT` (8080) until it is told to stop, and follows orders' events ([`Source::from_env`]). `SLOW`
/// makes its view lag.
///
/// # Errors
/// A setting that cannot be used, a port that is taken, a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let (source, faults) = (Source::from_env()?, Arc::new(Faults::from_env()?));
    let db = Db::from_env(NAME, &MIGRATIONS).await?;
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(listener, router(db.clone(), source.clone(), faults.clone()), stop.clone());
    let reader = consume(
        &db,
        &source,
        NAME,
        async |connection, event| {
            faults.delay().await;
            apply(connection, event).await
        },
        stop.clone(),
    );
    serve::until_signal(stop.clone(), async { tokio::join!(rest, reader).0 }).await
}
