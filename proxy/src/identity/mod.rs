//! Who this workload is: its certificate, fetched and renewed on the control runtime, and whom it trusts.
//!
//! Keys are made in memory and never written. A new leaf or bundle replaces the old one in one step; connections that are
//! open go on with what they began with. Issues nothing: that is the control plane's.

mod channel;
mod fetch;
mod store;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weft_certs::{Leaf, renew_at};

pub use channel::{ChannelError, control_channel};
pub use fetch::FetchError;
pub use store::{BundleRefused, Current, IdentityStore};

use crate::{admin::Condition, error::chain, telemetry::RenewalOutcome};

/// Pauses between tries: they double from the first to the last, and each is spread over half to one and a half of it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest as long as there is no certificate: a pod waits for it, and must not wait long after the control plane is well.
const LONGEST_FIRST_PAUSE: Duration = Duration::from_millis(600);
/// When an issuer has been replaced, proxies renew spread over this long. The old leaf is good meanwhile.
const SPREAD: Duration = Duration::from_secs(10);
/// The wall clock may jump: the time to renew is looked at this often.
const LOOK: Duration = Duration::from_secs(60);

/// Keeps the certificate fresh until `stop`. A failed renewal keeps the old one, and is tried again.
///
/// # Errors
/// Never; the type is what tasks have.
pub async fn run(store: Arc<IdentityStore>, condition: Condition, stop: CancellationToken) -> Result<(), Infallible> {
    let mut renewal = Renewal { store, condition, pause: FIRST_PAUSE, by: Proving::Leaf };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            wait = renewal.attempt() => tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = wait.over() => {}
                () = renewal.store.renew.notified() => info!("the trust bundle does not hold for the certificate"),
                () = replaced(&renewal.store) => info!("the issuer of the certificate has been replaced"),
            },
        }
    }
}

/// Who we are can be proven by the leaf that we have, or by the token that the environment gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proving {
    Leaf,
    Token,
}

struct Renewal {
    store: Arc<IdentityStore>,
    condition: Condition,
    pause: Duration,
    by: Proving,
}

enum Wait {
    /// At this time of the clock, or once that much time has passed: a clock that is put back must not keep a leaf in use
    /// that is over for everybody else.
    Renew {
        at: SystemTime,
        latest: Instant,
    },
    Retry(Duration),
}

impl Renewal {
    async fn attempt(&mut self) -> Wait {
        let result = renew(&self.store, self.by).await;
        let outcome = if result.is_ok() { RenewalOutcome::Renewed } else { RenewalOutcome::Failed };
        self.store.metrics.renewal(outcome);
        match result {
            Ok(leaf) => self.renewed(&leaf),
            Err(error) => self.failed(&error),
        }
    }

    fn renewed(&mut self, leaf: &Leaf) -> Wait {
        info!(identity = %self.store.name, issuer = leaf.issuer_id(), "certificate renewed");
        self.condition.ready();
        (self.pause, self.by) = (FIRST_PAUSE, Proving::Leaf);
        let now = SystemTime::now();
        Wait::until(renew_at(now, leaf.not_before(), leaf.not_after(), fastrand::f64()), now)
    }

    fn failed(&mut self, error: &FetchError) -> Wait {
        let why = chain(error);
        warn!(error = why, "no new certificate");
        if self.store.current().is_none() {
            self.condition.not_ready(format!("no certificate yet: {why}"));
        }
        // A leaf that TLS rejects looks like any broken connection. A token of Kubernetes is not used up by being shown.
        let may_show_token = self.store.config.control_plane.service_account_token_file.is_some();
        self.by = match self.by {
            Proving::Leaf if may_show_token || error.is_about_the_proof() => Proving::Token,
            Proving::Leaf | Proving::Token => Proving::Leaf,
        };
        let longest = if self.store.current().is_none() { LONGEST_FIRST_PAUSE } else { LONGEST_PAUSE };
        let pause = self.pause.min(longest);
        self.pause = (pause * 2).min(longest);
        Wait::Retry(pause.mul_f64(0.5 + fastrand::f64()))
    }
}

impl Wait {
    fn until(at: SystemTime, now: SystemTime) -> Self {
        Self::Renew { at, latest: Instant::now() + at.duration_since(now).unwrap_or_default() }
    }

    async fn over(&self) {
        match self {
            Self::Retry(pause) => tokio::time::sleep(*pause).await,
            Self::Renew { at, latest } => {
                while let Ok(left) = at.duration_since(SystemTime::now())
                    && Instant::now() < *latest
                {
                    tokio::time::sleep(left.min(LOOK)).await;
                }
            }
        }
    }
}

/// Waits until the issuer has been replaced, and then for a while by chance: not all proxies must ask at once, and the
/// replica that is asked may be the last to know.
async fn replaced(store: &IdentityStore) {
    loop {
        store.outdated().await;
        tokio::time::sleep(SPREAD.mul_f64(0.05 + 0.95 * fastrand::f64())).await;
        if store.is_outdated() {
            return;
        }
    }
}

/// Fetches one certificate and puts it to use. A leaf that has expired proves nothing: then it is the token's turn.
async fn renew(store: &IdentityStore, by: Proving) -> Result<Leaf, FetchError> {
    let old = store.current().filter(|_| by == Proving::Leaf);
    let old = old.as_ref().map(|current| current.tls.leaf());
    let proof = if old.is_some() { fetch::renewal() } else { fetch::token(&store.config.control_plane)? };
    let trusted = if old.is_some() { store.trusted()? } else { store.trusted_or_given()? };
    let channel = control_channel(&store.config, &trusted, old).await?;
    let (leaf, bundle) = fetch::certify(channel, &store.name, proof).await?;
    store.update_leaf(&leaf, bundle)?;
    Ok(leaf)
}
