//! Follows the Secrets, so that all replicas sign with the same issuer and take a new one without a restart.

use std::{convert::Infallible, pin::pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher, watcher::watch_object},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    SecretError, Secrets, Stored,
    form::{self, ANCHOR, ISSUER},
};
use crate::{
    error::chain,
    identity::{Authority, AuthorityError},
};

/// Has the authority take whatever is put into the Secrets.
pub struct Follower {
    authority: Arc<Authority>,
    secrets: Secrets,
    stored: watch::Sender<Option<Arc<Stored>>>,
}

impl Follower {
    /// A follower, and what it has seen last. None: not both Secrets yet.
    pub fn new(authority: Arc<Authority>, secrets: Secrets) -> (Self, watch::Receiver<Option<Arc<Stored>>>) {
        let (stored, receiver) = watch::channel(None);
        (Self { authority, secrets, stored }, receiver)
    }

    /// Follows until `stop`. What is not good is named in the log, and the keys of before go on.
    ///
    /// # Errors
    /// Never; the type is what tasks have.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut anchors = pin!(watched(&self.secrets.0, ANCHOR));
        let mut issuers = pin!(watched(&self.secrets.0, ISSUER));
        let (mut anchor, mut issuer) = (None, None);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(news) = anchors.next() => take(ANCHOR, news, &mut anchor),
                Some(news) = issuers.next() => take(ISSUER, news, &mut issuer),
                // Both streams are endless; a loop without them would turn in a circle.
                else => return Ok(()),
            }
            if let (Some(anchor), Some(issuer)) = (&anchor, &issuer) {
                self.take_over(Stored { anchor: anchor.clone(), issuer: issuer.clone() });
            }
        }
    }

    fn take_over(&self, stored: Stored) {
        match self.adopt(&stored) {
            Ok(false) => {}
            Ok(true) => {
                info!(issuer = self.authority.issuer_id(), bundle = ?self.authority.bundle(), "keys taken over");
            }
            Err(error) => warn!(error = chain(&error), "the keys in the Secrets are not good, those of before go on"),
        }
        self.stored.send_replace(Some(Arc::new(stored)));
    }

    fn adopt(&self, stored: &Stored) -> Result<bool, AuthorityError> {
        self.authority.adopt(form::keys(&stored.anchor, &stored.issuer)?)
    }
}

fn watched(api: &Api<Secret>, name: &str) -> impl Stream<Item = watcher::Result<Option<Secret>>> + use<> {
    watch_object(api.clone(), name).default_backoff()
}

fn take(name: &'static str, news: watcher::Result<Option<Secret>>, known: &mut Option<Secret>) {
    match news {
        Ok(Some(secret)) => *known = Some(secret),
        Ok(None) => {
            *known = None;
            warn!(error = chain(&SecretError::Gone { secret: name }), "a Secret is gone");
        }
        Err(error) => warn!(secret = name, error = chain(&error), "a Secret cannot be watched"),
    }
}
