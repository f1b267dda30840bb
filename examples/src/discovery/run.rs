//! The registry as a program.

use tokio_util::sync::CancellationToken;

use super::rest::{Registry, router};
use crate::serve;

/// Serves the registry on `PORT` (8080) until it is told to stop. All it knows is in memory: what it has lost with a restart
/// the next heartbeats tell again.
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run() -> anyhow::Result<()> {
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;
    let stop = CancellationToken::new();
    let registry = Registry::new(stop.clone());
    let rest = serve::rest(listener, router(registry.clone()), stop.clone());
    serve::until_signal(stop, async { tokio::join!(rest, registry.expire()).0 }).await
}
