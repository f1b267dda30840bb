//! The single writer: of all replicas, one at a time holds the Lease `weft-control-plane` and writes what only one may.
//!
//! No wall clock is compared: a holder believes in its lease for a while from the moment that it *sent* the last renewal,
//! and another replica takes it only when it has *seen* nothing new of it for longer than that (`claim.rs`). So two never
//! believe to hold it at once, whatever their wall clocks say. What is written under it must name the resource version
//! that it was decided on, all the same: a write that was sent in time may arrive late.
//!
//! Libraries for this compare wall clocks or spawn tasks that nobody joins, so this is Weft's own.

mod claim;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use claim::{Claim, Seen, Step};

/// The Lease's name.
pub const NAME: &str = "weft-control-plane";
/// How long a lease that is not renewed keeps others away.
const LIFETIME: Duration = Duration::from_secs(15);
/// How long a holder believes in a renewal, from when it was sent: clocks may run a third faster than others.
const BELIEF: Duration = Duration::from_secs(10);
/// How often a holder renews and another looks, on average.
const ROUND: Duration = Duration::from_secs(2);
/// How long one request to the API server may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(4);

/// Whose lease it is.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// The control plane's namespace.
    pub namespace: String,
    /// This replica: no other may have the same name, and none does if it is the pod's.
    pub holder: String,
}

/// This replica's part in the lease.
pub struct Lease {
    api: Api<Object>,
    claim: Claim,
    /// As it was last seen; None: it is to be read.
    object: Option<Object>,
    held: watch::Sender<bool>,
    /// Whether the last round went wrong, so that it is told of once.
    troubled: bool,
}

/// A round that went wrong. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It is not allowed.
    #[error("the Lease {NAME} may not be written: apply this release's Role weft-control-plane")]
    Forbidden(#[source] kube::Error),
    /// Anything else.
    #[error("the Lease {NAME} cannot be read or written")]
    Api(#[source] kube::Error),
    /// No answer.
    #[error("the API server does not answer within {REQUEST_LIMIT:?}")]
    Silent,
}

impl Lease {
    /// A part in the lease, and whether this replica holds it: not before [`Lease::run`] has got it.
    pub fn new(client: Client, settings: LeaseSettings) -> (Self, watch::Receiver<bool>) {
        let (held, receiver) = watch::channel(false);
        let api = Api::namespaced(client, &settings.namespace);
        (Self { api, claim: Claim::new(settings.holder), object: None, held, troubled: false }, receiver)
    }

    /// Takes the lease when it is free, renews it, and gives it back at the end.
    ///
    /// # Errors
    /// Never: an API server that is away comes back.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.round() => {}
            }
            let now = Instant::now();
            let pause = ROUND.mul_f64(0.75 + fastrand::f64() / 2.0);
            let pause = self.claim.held_for(now).map_or(pause, |left| pause.min(left));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(pause) => self.publish(),
            }
        }
        self.release().await;
        Ok(())
    }

    /// One look and, if it is called for, one write. Ends before what is believed does.
    async fn round(&mut self) {
        let limit = self.claim.held_for(Instant::now()).map_or(REQUEST_LIMIT, |left| left.min(REQUEST_LIMIT));
        let outcome = timeout(limit, self.attempt()).await.unwrap_or(Err(LeaseError::Silent));
        self.publish();
        match outcome {
            Ok(()) => self.troubled = false,
            Err(error) => {
                // What the write has done is not known.
                self.object = None;
                if !std::mem::replace(&mut self.troubled, true) {
                    let cause = std::error::Error::source(&error).map(tracing::field::display);
                    warn!(%error, cause, "the lease is not to be had for now");
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<(), LeaseError> {
        let object = match self.object.take() {
            Some(object) if self.claim.held_for(Instant::now()).is_some() => object,
            _ => self.read().await?,
        };
        match self.claim.step(Instant::now()) {
            Step::Wait => {
                self.object = Some(object);
                Ok(())
            }
            Step::Take => self.write(taken(&self.claim, object)).await,
            Step::Renew => self.write(renewed(object)).await,
        }
    }

    async fn read(&mut self) -> Result<Object, LeaseError> {
        let object = self.api.get_opt(NAME).await.map_err(LeaseError::new)?.unwrap_or_default();
        self.claim.see(seen(&object), Instant::now());
        Ok(object)
    }

    /// Succeeds, without holding the lease, when another was quicker.
    async fn write(&mut self, object: Object) -> Result<(), LeaseError> {
        let sent = Instant::now();
        let params = PostParams::default();
        let written = match object.metadata.resource_version {
            Some(_) => self.api.replace(NAME, &params, &object).await,
            None => self.api.create(&params, &object).await,
        };
        match written {
            Ok(written) => {
                self.claim.write_succeeded(seen(&written), sent, Instant::now());
                self.object = Some(written);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(LeaseError::new(error)),
        }
    }

    fn publish(&self) {
        let holds = self.claim.held_for(Instant::now()).is_some();
        let changed = self.held.send_if_modified(|held| std::mem::replace(held, holds) != holds);
        if changed && holds {
            info!("this replica writes from now on: it holds the lease");
        } else if changed {
            warn!("this replica does not write any more: its lease is over");
        }
    }

    /// Lets another have it without waiting. Nothing is lost if that fails: it then waits.
    async fn release(&mut self) {
        self.claim.give_up();
        if !self.held.send_replace(false) {
            return;
        }
        let released = timeout(REQUEST_LIMIT, async {
            let object = self.read().await?;
            if self.claim.is_mine() { self.write(freed(object)).await } else { Ok(()) }
        });
        match released.await.unwrap_or(Err(LeaseError::Silent)) {
            Ok(()) => info!("the lease is given back"),
            Err(error) => warn!(%error, "the lease could not be given back, others wait until it is over"),
        }
    }
}

impl LeaseError {
    fn new(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden(error),
            _ => Self::Api(error),
        }
    }
}

fn seen(object: &Object) -> Seen {
    let spec = object.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        lifetime: seconds.map_or(LIFETIME, Duration::from_secs),
    }
}

fn taken(claim: &Claim, mut object: Object) -> Object {
    object.metadata.name = Some(NAME.to_owned());
    let spec = object.spec.get_or_insert_default();
    let now = MicroTime(Timestamp::now());
    if spec.holder_identity.as_deref() != Some(claim.me()) {
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
    }
    spec.holder_identity = Some(claim.me().to_owned());
    spec.lease_duration_seconds = i32::try_from(LIFETIME.as_secs()).ok();
    spec.acquire_time = Some(now.clone());
    spec.renew_time = Some(now);
    object
}

fn renewed(mut object: Object) -> Object {
    object.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
    object
}

fn freed(mut object: Object) -> Object {
    let spec: &mut LeaseSpec = object.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.renew_time = Some(MicroTime(Timestamp::now()));
    object
}
