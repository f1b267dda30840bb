//! Who a caller proves to be.

use std::{net::SocketAddr, path::Path, time::SystemTime};

use weft_api::pb::{self, certify_request::Proof};
use weft_certs::{Peer, SpiffeId};

use super::tokens::{self, Claim, TokenError};

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
    /// Service-account tokens are for control planes that run on Kubernetes.
    #[error("this control plane does not run on Kubernetes: use a join token")]
    NotOnKubernetes,
    /// The join token is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
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

/// An identity that a request for a certificate has proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) identity: SpiffeId,
    claim: Option<Claim>,
}

impl Proven {
    /// What the request's proof proves.
    pub(super) fn by(
        request: &pb::CertifyRequest,
        caller: &Caller,
        folder: &Path,
        now: SystemTime,
    ) -> Result<Self, ProofError> {
        match request.proof.as_ref().ok_or(ProofError::Missing)? {
            Proof::JoinToken(token) => {
                let claim = tokens::find(folder, token.trim(), now)?;
                Ok(Self { identity: claim.identity.clone(), claim: Some(claim) })
            }
            Proof::Renewal(pb::Renewal {}) => Ok(Self { identity: caller.identity(now)?.clone(), claim: None }),
            Proof::ServiceAccountToken(_) => Err(ProofError::NotOnKubernetes),
        }
    }

    /// Uses up what can be used only once.
    pub(super) fn redeem(self) -> Result<(), ProofError> {
        Ok(self.claim.map_or(Ok(()), Claim::redeem)?)
    }
}
