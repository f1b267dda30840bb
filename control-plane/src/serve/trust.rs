//! Tells proxies of a new trust bundle or issuer as soon as the authority goes by it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::identity::Trust;

/// Passes on whom to trust and who signs, until `stop`.
///
/// # Errors
/// The authority is gone.
pub async fn pass_trust_on(
    hub: Arc<Hub>,
    mut trust: watch::Receiver<Trust>,
    stop: CancellationToken,
) -> Result<(), watch::error::RecvError> {
    loop {
        let now = trust.borrow_and_update().clone();
        hub.trust(now);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            changed = trust.changed() => changed?,
        }
    }
}
