//! Who a caller proves to be.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::SystemTime,
};

use weft_api::pb::{self, certify_request::Proof};
use weft_certs::{Peer, SpiffeId};

use super::{
    service_account::{ServiceAccounts, TokenRefused},
    tokens::{self, Claim, TokenError},
};

/// The other end of a connection, as TLS has shown it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where it calls from.
    pub address: SocketAddr,
    /// What its verified leaf says; None: it came without one.
    pub peer: Option<Peer>,
}

/// A proof that proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is none.
    #[error("the request carries no proof of identity")]
    Missing,
    /// The connection was opened without a leaf.
    #[error("the connection was opened without a leaf")]
    NoLeaf,
    /// The leaf that opened the connection is over.
    #[error("the leaf that opened the connection has expired")]
    LeafExpired,
    /// Carried off, or older than the pod that has the address now; or the pod is newer than what is known of the cluster.
    #[error("no pod with a sidecar that is {identity} is known at {address}: the service-account token proves more")]
    LeafElsewhere {
        /// Who the leaf is.
        identity: SpiffeId,
        /// Where the connection comes from.
        address: IpAddr,
    },
    /// Service-account tokens are for control planes that run on Kubernetes.
    #[error("this control plane does not run on Kubernetes: use a join token")]
    NotOnKubernetes,
    /// Join tokens are for control planes that do not.
    #[error("this control plane runs on Kubernetes and takes no join tokens: use a projected service-account token")]
    OnKubernetes,
    /// The join token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The service-account token is not good, or cannot be checked now.
    #[error(transparent)]
    ServiceAccount(#[from] TokenRefused),
}

impl ProofError {
    /// Whether the same proof may be accepted soon.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ServiceAccount(refused) => refused.is_transient(),
            Self::Token(error) => matches!(error, TokenError::File(_)),
            Self::Missing
            | Self::NoLeaf
            | Self::LeafExpired
            | Self::LeafElsewhere { .. }
            | Self::NotOnKubernetes
            | Self::OnKubernetes => false,
        }
    }

    /// The reason, as metrics name it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "no_proof",
            Self::NoLeaf => "no_leaf",
            Self::LeafExpired => "leaf_expired",
            Self::LeafElsewhere { .. } => "leaf_elsewhere",
            Self::NotOnKubernetes | Self::OnKubernetes => "other_platform",
            Self::Token(_) => "join_token",
            Self::ServiceAccount(refused) => refused.label(),
        }
    }
}

impl Caller {
    /// The identity that the connection itself proves.
    ///
    /// # Errors
    /// It was opened without a leaf, or the leaf is over.
    pub fn identity(&self, now: SystemTime) -> Result<&SpiffeId, ProofError> {
        let peer = self.peer.as_ref().ok_or(ProofError::NoLeaf)?;
        if now >= peer.not_after {
            return Err(ProofError::LeafExpired);
        }
        Ok(&peer.identity)
    }
}

/// The proofs that this control plane takes, beside a leaf of its own.
pub enum Proofs {
    /// Join tokens of a state folder.
    JoinTokens(PathBuf),
    /// Service-account tokens, on Kubernetes.
    ServiceAccounts(Box<ServiceAccounts>),
}

/// An identity that a request for a certificate has proven.
#[derive(Debug)]
pub struct Proven {
    /// Who.
    pub identity: SpiffeId,
    claim: Option<Claim>,
}

impl Proofs {
    /// What the request's proof proves.
    ///
    /// # Errors
    /// Nothing; [`ProofError::is_transient`] tells whether it may later.
    pub async fn check(&self, request: &pb::CertifyRequest, caller: &Caller) -> Result<Proven, ProofError> {
        let now = SystemTime::now();
        let proven = |identity| Proven { identity, claim: None };
        match (request.proof.as_ref().ok_or(ProofError::Missing)?, self) {
            (Proof::Renewal(pb::Renewal {}), Self::JoinTokens(_)) => Ok(proven(caller.identity(now)?.clone())),
            (Proof::Renewal(pb::Renewal {}), Self::ServiceAccounts(accounts)) => {
                let (identity, address) = (caller.identity(now)?.clone(), caller.address.ip());
                if accounts.is_at(address, &identity) {
                    Ok(proven(identity))
                } else {
                    Err(ProofError::LeafElsewhere { identity, address })
                }
            }
            (Proof::JoinToken(token), Self::JoinTokens(folder)) => {
                let claim = tokens::find(folder, token.trim(), now)?;
                Ok(Proven { identity: claim.identity.clone(), claim: Some(claim) })
            }
            (Proof::ServiceAccountToken(token), Self::ServiceAccounts(accounts)) => {
                Ok(proven(accounts.identify(token.trim(), caller.address.ip()).await?))
            }
            (Proof::JoinToken(_), Self::ServiceAccounts(_)) => Err(ProofError::OnKubernetes),
            (Proof::ServiceAccountToken(_), Self::JoinTokens(_)) => Err(ProofError::NotOnKubernetes),
        }
    }
}

impl Proven {
    /// Uses up what can be used only once: for a request that gets its certificate, and for no other.
    ///
    /// # Errors
    /// Somebody else has used it up in the meantime.
    pub fn redeem(self) -> Result<(), ProofError> {
        Ok(self.claim.map_or(Ok(()), Claim::redeem)?)
    }
}
