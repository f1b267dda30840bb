//! Who a service-account token proves its caller to be, on Kubernetes.
//!
//! A token proves an identity only together with the address that it comes from: it must be bound to a pod, and that pod
//! must have the connection's source among its addresses. So a token that has been carried off is worth nothing elsewhere,
//! and the same goes for the leaf that it was good for.

mod claims;
mod error;
mod pod;
mod review;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc};

use kube::Client;
use weft_certs::SpiffeId;

pub use error::TokenRefused;
use pod::Pods;
pub use pod::{KnownPod, KnownPods};
use review::Reviews;

use crate::telemetry::Metrics;

/// The audience that tokens for Weft have, and no others.
const AUDIENCE: &str = "weft";

/// Asks the API server about tokens and pods.
pub struct ServiceAccounts {
    trust_domain: String,
    reviews: Reviews,
    pods: Pods,
}

impl ServiceAccounts {
    /// `per_second`: tokens that the API server is asked about; others wait. `known`: pods that need not be asked for.
    pub fn new(client: &Client, trust_domain: &str, per_second: u32, known: KnownPods, metrics: Arc<Metrics>) -> Self {
        Self {
            trust_domain: trust_domain.to_owned(),
            reviews: Reviews::new(client.clone(), per_second, metrics),
            pods: Pods::new(client.clone(), known),
        }
    }

    /// The identity of the pod that holds the token and calls from `address`.
    ///
    /// # Errors
    /// [`TokenRefused`]; some of it passes, [`TokenRefused::is_transient`] says what.
    pub async fn identify(&self, token: &str, address: IpAddr) -> Result<SpiffeId, TokenRefused> {
        let address = address.to_canonical();
        let bound = self.reviews.review(token, address).await?;
        self.pods.check(&bound, address).await?;
        let (namespace, account) = (&bound.pod.namespace, &bound.service_account);
        Ok(SpiffeId::new(&self.trust_domain, namespace, account)?)
    }

    /// Whether a pod that may have this identity is known at `address`. It may be newer than what is known.
    pub fn is_at(&self, address: IpAddr, identity: &SpiffeId) -> bool {
        identity.trust_domain() == self.trust_domain && (self.pods.known.is_at)(address.to_canonical(), identity)
    }
}
