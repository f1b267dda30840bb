//! The root, replaced live: one step at a time, and no step before every proxy has taken the one before.
//!
//! New root trusted everywhere, then new issuer under it, then every leaf renewed under that, and only then the old root is
//! dropped. How far it has come stands in the Secret of the root, so it survives every restart and goes on with whichever
//! replica leads. Who is behind is asked of all replicas, as each knows only the proxies whose streams end there.

mod ask;
mod behind;
mod status;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use weft_api::pb::ReportsResponse;

pub use behind::{Behind, Why};
use behind::{Fleet, Goal};
pub use status::{CertificateStatus, Phase, Status};

use crate::{
    error::chain,
    identity::{Authority, SecretError, Secrets, Spread, Stage, StatusMap, Stored, Trust},
    index::ObjectName,
    telemetry::Metrics,
};

/// How soon it is looked again whether the next step can be taken, after a round that has brought something new. Each one
/// without doubles it.
const ROUND: Duration = Duration::from_millis(500);
/// The longest pause; that of when nothing is under way, for the status that people read.
const IDLE_ROUND: Duration = Duration::from_secs(10);
/// A pod may have been given the ConfigMap of before the rotation just when it began. It is known within this time, and is
/// waited for from then on.
const SETTLE: Duration = Duration::from_secs(5);

/// What is known of the mesh, by whoever knows it.
pub struct Mesh {
    /// Pods beside which a proxy runs.
    pub live: Box<dyn Fn() -> Vec<ObjectName> + Send + Sync>,
    /// What proxies have reported to this replica.
    pub reports: Box<dyn Fn() -> ReportsResponse + Send + Sync>,
    /// Where the replicas are, this one among them.
    pub replicas: Box<dyn Fn() -> Vec<SocketAddr> + Send + Sync>,
}

/// Rotates the root when it is asked for.
pub struct Rotation {
    /// Who signs.
    pub authority: Arc<Authority>,
    /// Where keys are kept.
    pub secrets: Secrets,
    /// What was last seen there.
    pub stored: watch::Receiver<Option<Arc<Stored>>>,
    /// What the bundle's ConfigMaps hold.
    pub spread: watch::Receiver<Spread>,
    /// Where people read how far it has come.
    pub status: StatusMap,
    /// The proxies.
    pub mesh: Mesh,
    /// Figures.
    pub metrics: Arc<Metrics>,
}

impl Rotation {
    /// Takes step after step whenever this replica leads, until `stop`. `synced` ends once [`Mesh`] knows of all that is
    /// there: before that nobody seems to be behind.
    ///
    /// # Errors
    /// Never; the type is what tasks have.
    pub async fn run(
        mut self,
        synced: impl Future<Output = ()>,
        mut leads: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let rotating = async {
            synced.await;
            loop {
                // Its sender ends at the drain only, and then this does.
                if leads.wait_for(|leads| *leads).await.is_err() {
                    return std::future::pending::<Infallible>().await;
                }
                let mut lost = leads.clone();
                tokio::select! {
                    biased;
                    _ = lost.wait_for(|leads| !leads) => {}
                    never = self.lead() => match never {},
                }
                self.show(None, 0);
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            never = rotating => match never {},
        }
    }

    async fn lead(&mut self) -> Infallible {
        // What another has written meanwhile is not known: it begins with nothing.
        let mut last = Last::default();
        loop {
            let pause = self.round(&mut last).await;
            tokio::select! {
                Ok(()) = self.stored.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// One look, and the step that follows. How long to wait for the next.
    async fn round(&mut self, last: &mut Last) -> Duration {
        let Some(stored) = self.stored.borrow_and_update().clone() else { return ROUND };
        let stage = stored.stage();
        let fleet = Fleet::gather(&self.authority, &self.mesh).await;
        // By what is stored, which this replica itself may not have taken.
        let (behind, taken) = match stored.trust() {
            Ok(trust) => {
                let behind = self.behind(&fleet, &trust, stage);
                let taken = self.step(&stored, &trust, behind.is_empty()).await;
                (behind, taken)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        self.show(Some(Phase::of(stage)), behind.len());
        let refused = taken.as_ref().err().filter(|error| stage != Stage::Settled && !error.is_transient());
        let status = Status::new(&stored, &self.authority, refused, &fleet, behind);
        let is_news = last.written.as_ref() != Some(&status);
        let mut trouble = taken.err().map(|error| chain(&error));
        if is_news {
            match self.status.put(&status).await {
                Ok(()) => last.written = Some(status),
                Err(error) => trouble = Some(chain(&error)),
            }
        }
        let pause = last.pause(is_news && trouble.is_none());
        last.tell(trouble);
        if stage == Stage::Settled { IDLE_ROUND } else { pause }
    }

    fn behind(&self, fleet: &Fleet, trust: &Trust, stage: Stage) -> Vec<Behind> {
        match stage {
            Stage::Trusting(_) => {
                let mut behind = fleet.behind(trust, Goal::Bundle);
                behind.extend(without_bundle(&self.spread.borrow()));
                behind
            }
            Stage::Settled | Stage::Requested | Stage::Promoted | Stage::Renewing => {
                fleet.behind(trust, Goal::BundleAndLeaf)
            }
        }
    }

    /// Takes the step that is due.
    async fn step(&self, stored: &Stored, trust: &Trust, nobody_is_behind: bool) -> Result<(), SecretError> {
        let stage = stored.stage();
        let is_due = match stage {
            Stage::Settled => false,
            Stage::Requested | Stage::Promoted => true,
            Stage::Trusting(since) => nobody_is_behind && self.is_spread(trust) && has_passed(SETTLE, since),
            Stage::Renewing => nobody_is_behind,
        };
        if !is_due {
            return Ok(());
        }
        match self.secrets.advance(stored, SystemTime::now(), self.authority.issuer_lifetime()).await {
            Ok(()) => info!(after = Phase::of(stage).as_str(), "the rotation of the root goes on"),
            // What is there now will be seen.
            Err(error @ SecretError::Changed { .. }) => debug!(%error, "a step of the rotation of the root is late"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// As metrics. None: another leads.
    fn show(&self, phase: Option<Phase>, behind: usize) {
        self.metrics.certificates.rotation(phase.map(Phase::as_str), &Phase::ALL.map(Phase::as_str), behind);
    }

    /// Whether pods that start now are given this bundle.
    fn is_spread(&self, trust: &Trust) -> bool {
        self.spread.borrow().version == Some(trust.bundle.version())
    }
}

/// What the rounds of a leader have come to.
#[derive(Default)]
struct Last {
    /// The status that people can read.
    written: Option<Status>,
    /// What has gone wrong.
    trouble: Option<String>,
    pause: Duration,
}

impl Last {
    fn pause(&mut self, is_news: bool) -> Duration {
        self.pause = if is_news { ROUND } else { (self.pause * 2).clamp(ROUND, IDLE_ROUND) };
        self.pause
    }

    /// Warns of what is new.
    fn tell(&mut self, trouble: Option<String>) {
        if let Some(error) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            warn!(error, "a step of the rotation of the root, or its status, could not be written, it is tried again");
        }
        self.trouble = trouble;
    }
}

/// Namespaces where pods that start now do not trust the new root.
fn without_bundle(spread: &Spread) -> Vec<Behind> {
    spread.failed.iter().map(|namespace| Behind { who: namespace.to_string(), why: Why::Namespace }).collect()
}

fn has_passed(time: Duration, since: SystemTime) -> bool {
    // A clock that was set back makes it wait: not for longer than that.
    SystemTime::now().duration_since(since).is_ok_and(|passed| passed >= time)
}
