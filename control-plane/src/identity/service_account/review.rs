//! TokenReview: the API server's word on a token, remembered for a moment and asked for at a bounded rate.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo};
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::debug;
use weft_certs::sha256_hex;

use super::{AUDIENCE, TokenRefused, claims};
use crate::{index::ObjectName, pace::Pace, telemetry::Metrics};

/// A proxy whose pod has no address yet comes back with the same token every second.
const REMEMBERED: Duration = Duration::from_secs(20);
/// Tokens remembered, of some 300 bytes each.
const MOST_REMEMBERED: usize = 4096;
/// Calls at a time.
const IN_FLIGHT: usize = 16;
/// How long a token may wait for its turn, and how long the API server may take: together less than proxies wait.
const LONGEST_LINE: Duration = Duration::from_secs(4);
const ANSWER: Duration = Duration::from_secs(5);
/// Kubernetes' own are about 1 KB.
const MOST_TOKEN_BYTES: usize = 16 * 1024;

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// What a good token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) service_account: String,
    pub(super) pod: ObjectName,
    pub(super) pod_uid: String,
}

/// Asks, within limits.
pub(super) struct Reviews {
    api: Api<TokenReview>,
    pace: Pace,
    in_flight: Semaphore,
    /// By the token's hash: whoever reads the process's memory finds no token here.
    remembered: Mutex<HashMap<String, (Instant, Bound)>>,
    /// Who has a token in the line: one each, so that one pod with many bad tokens does not fill it for all.
    waiting: Mutex<HashSet<IpAddr>>,
    metrics: Arc<Metrics>,
}

/// An address's place in the line, until this is dropped.
struct Place<'a> {
    waiting: &'a Mutex<HashSet<IpAddr>>,
    address: IpAddr,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a Mutex<HashSet<IpAddr>>, address: IpAddr) -> Result<Self, TokenRefused> {
        let is_first = waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
        if is_first { Ok(Self { waiting, address }) } else { Err(TokenRefused::InLine { address }) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}

impl Reviews {
    pub(super) fn new(client: Client, per_second: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            api: Api::all(client),
            pace: Pace::new(per_second, LONGEST_LINE),
            in_flight: Semaphore::new(IN_FLIGHT),
            remembered: Mutex::default(),
            waiting: Mutex::default(),
            metrics,
        }
    }

    /// What the token is bound to that `address` shows. Only good tokens are remembered.
    pub(super) async fn review(&self, token: &str, address: IpAddr) -> Result<Bound, TokenRefused> {
        if token.is_empty() || token.len() > MOST_TOKEN_BYTES {
            return Err(TokenRefused::Unknown);
        }
        let hash = sha256_hex(token.as_bytes());
        if let Some(bound) = self.recall(&hash) {
            self.metrics.certificates.token_review("remembered");
            return Ok(bound);
        }
        let reviewed = self.ask(token, address).await;
        self.metrics.certificates.token_review(match &reviewed {
            Ok(_) => "accepted",
            Err(error) if error.is_transient() => "failed",
            Err(_) => "refused",
        });
        let bound = reviewed?;
        self.remember(hash, bound.clone());
        Ok(bound)
    }

    async fn ask(&self, token: &str, address: IpAddr) -> Result<Bound, TokenRefused> {
        let _place = Place::take(&self.waiting, address)?;
        self.pace.turn().await?;
        let spec = TokenReviewSpec { audiences: Some(vec![AUDIENCE.to_owned()]), token: Some(token.to_owned()) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let params = PostParams::default();
        let asked = async {
            // It is never closed; were it, calls would be bounded by their rate.
            let _permit = self.in_flight.acquire().await;
            let began = Instant::now();
            let answer = self.api.create(&params, &review).await;
            self.metrics.certificates.token_review_took(began.elapsed());
            answer
        };
        let answer = timeout(ANSWER, asked).await.map_err(|_| TokenRefused::Late)?;
        let status = answer.map_err(|error| TokenRefused::Api(Box::new(error)))?.status.unwrap_or_default();
        bound(status, token)
    }

    fn recall(&self, hash: &str) -> Option<Bound> {
        let (until, bound) = self.remembered().get(hash).cloned()?;
        (Instant::now() < until).then_some(bound)
    }

    fn remember(&self, hash: String, bound: Bound) {
        let now = Instant::now();
        let mut remembered = self.remembered();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, (until, _)| now < *until);
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(hash, (now + REMEMBERED, bound));
        }
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, (Instant, Bound)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bound(status: TokenReviewStatus, token: &str) -> Result<Bound, TokenRefused> {
    let audiences = status.audiences.unwrap_or_default();
    if status.authenticated != Some(true) {
        debug!(error = status.error, "token refused by the API server");
        return Err(claims::fault(token, SystemTime::now()));
    }
    // An API server that does not know of audiences leaves them out, and has not checked them.
    if !audiences.iter().any(|one| one == AUDIENCE) {
        return Err(TokenRefused::Audience);
    }
    let user = status.user.unwrap_or_default();
    let (namespace, service_account) = service_account(&user).ok_or(TokenRefused::NotServiceAccount)?;
    let said = |key| user.extra.as_ref()?.get(key)?.first().filter(|value| !value.is_empty());
    let (pod, uid) = said(POD_NAME).zip(said(POD_UID)).ok_or(TokenRefused::NotBound)?;
    Ok(Bound {
        service_account: service_account.to_owned(),
        pod: ObjectName::new(namespace, pod),
        pod_uid: uid.clone(),
    })
}

/// `system:serviceaccount:<namespace>:<name>`.
fn service_account(user: &UserInfo) -> Option<(&str, &str)> {
    user.username.as_deref()?.strip_prefix("system:serviceaccount:")?.split_once(':')
}
