//! What becomes of a promise whose decision does not come: the coordinator is asked, until it says.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tracing::{info, warn};

use super::{InDoubt, Participant, Work};
use crate::proto::coordinator_client::CoordinatorClient;
use crate::proto::{Decision, OutcomeRequest};
use crate::settings;

const PATIENCE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(1);
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(2);

/// Asks the coordinator about promises that are old.
#[derive(Debug)]
pub struct Recovery {
    coordinator: CoordinatorClient<Channel>,
    patience: Duration,
}

impl Recovery {
    /// The coordinator is at `COORDINATOR_URL` (`http://orders:9090`); a promise is old after `IN_DOUBT_PATIENCE` (5s).
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn from_env() -> anyhow::Result<Self> {
        let url: String = settings::parsed("COORDINATOR_URL", "http://orders:9090".into(), "a URL")?;
        let coordinator = Endpoint::from_shared(url.clone())
            .with_context(|| format!("COORDINATOR_URL is {url:?}, which is no URL"))?
            .connect_timeout(CONNECT_DEADLINE);
        Ok(Self::new(coordinator.connect_lazy(), settings::time("IN_DOUBT_PATIENCE", PATIENCE)?))
    }

    pub(super) fn new(coordinator: Channel, patience: Duration) -> Self {
        Self { coordinator: CoordinatorClient::new(coordinator), patience }
    }

    /// Looks once a second, for ever.
    pub async fn run<W: Work>(&self, participant: &Participant<W>) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look(participant).await;
        }
    }

    pub(super) async fn look<W: Work>(&self, participant: &Participant<W>) {
        let promises = match participant.in_doubt().await {
            Ok(promises) => promises,
            Err(error) => return warn!(%error, "cannot see what is in doubt"),
        };
        for InDoubt { id, age } in promises.into_iter().filter(|promise| promise.age >= self.patience) {
            let decision = match self.outcome(id).await {
                Ok(Decision::Undecided) => continue,
                Ok(decision) => decision,
                Err(status) => {
                    let reason = status.message();
                    return warn!(transaction = id, ?age, reason, "in doubt: the coordinator does not say");
                }
            };
            match participant.decide(id, decision).await {
                Ok(()) => info!(transaction = id, ?age, ?decision, "asked the coordinator for the decision"),
                Err(refusal) => warn!(transaction = id, %refusal, "the decision waits"),
            }
        }
    }

    async fn outcome(&self, transaction_id: i64) -> Result<Decision, tonic::Status> {
        let mut request = Request::new(OutcomeRequest { transaction_id });
        request.set_timeout(DEADLINE);
        Ok(self.coordinator.clone().outcome(request).await?.into_inner().decision())
    }
}
