//! Keeps the control plane's own leaf fresh and, where this replica is the one that writes, the issuer.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Authority, AuthorityError};
use crate::{error::chain, telemetry::Metrics};

/// The wall clock may be set: the authority is looked at this often at least.
const LOOK: Duration = Duration::from_secs(600);
/// And this often at most, should a renewal fail or leaves live for a moment only.
const PAUSE: Duration = Duration::from_secs(1);
/// After a failure. There is time: a third of the life of what is to be renewed.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Of the jitter's range: replicas have nobody to keep clear of.
const JITTER: f64 = 0.5;

/// Renews until `stop`. `leads`: whether this replica may replace the issuer.
///
/// # Errors
/// Never; the type is what tasks have.
pub async fn maintain(
    authority: Arc<Authority>,
    mut leads: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut trust = authority.trust();
    let mut least = PAUSE;
    loop {
        metrics.certificates.end(authority.own_expiry(), authority.issuer_expiry(), authority.root_expiry());
        let may_replace = *leads.borrow_and_update();
        let issuer = authority.issuer_renewal().filter(|_| may_replace);
        let own = authority.own_renewal(JITTER);
        let due = issuer.map_or(own, |issuer| issuer.min(own));
        let left = due.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Ok(()) = leads.changed() => continue,
            Ok(()) = trust.changed() => continue,
            () = sleep(left.clamp(least, LOOK)) => {}
        }
        least = match renew(&authority, issuer, own, &metrics).await {
            Ok(()) => PAUSE,
            Err(error) => {
                warn!(error = chain(&error), "a certificate of the control plane could not be renewed");
                AFTER_FAILURE
            }
        };
    }
}

/// Renews what is due. With a new issuer the own leaf is new too.
async fn renew(
    authority: &Authority,
    issuer: Option<SystemTime>,
    own: SystemTime,
    metrics: &Metrics,
) -> Result<(), AuthorityError> {
    let now = SystemTime::now();
    if issuer.is_some_and(|at| at <= now) {
        let issuer = authority.rotate_issuer().await?;
        metrics.certificates.issuer_rotations.inc();
        info!(issuer, "issuer replaced, as most of its life is over");
    } else if own <= now {
        authority.renew_own()?;
    }
    Ok(())
}
