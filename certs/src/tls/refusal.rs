//! Why a peer was refused, in types that survive rustls.

use std::sync::Arc;

use rustls::{CertificateError, Error, OtherError};

use crate::{IdentityError, SpiffeId};

/// The peer's chain is good and its leaf is somebody else's: the address has gone to another workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {actual}")]
pub struct WrongIdentity {
    /// Whom discovery named.
    pub expected: SpiffeId,
    /// Who answered.
    pub actual: SpiffeId,
}

/// Why a peer was refused for what its leaf says (a bad chain is an error of rustls' own).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedPeer {
    /// It is somebody else.
    #[error(transparent)]
    WrongIdentity(#[from] WrongIdentity),
    /// It is nobody, where `expected` should be.
    #[error("expected {expected}, got a certificate that names no workload")]
    NotThe {
        /// Whom discovery named.
        expected: SpiffeId,
        /// What the certificate lacks.
        source: IdentityError,
    },
    /// A client that is nobody.
    #[error("the client's certificate names no workload")]
    Nobody(#[source] IdentityError),
}

/// The refusal that a handshake's error stands for.
pub fn refused(error: &Error) -> Option<&RefusedPeer> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(source))) => source.downcast_ref(),
        _ => None,
    }
}

/// The two identities, when a handshake failed because they differ.
pub fn wrong_identity(error: &Error) -> Option<WrongIdentity> {
    match refused(error)? {
        RefusedPeer::WrongIdentity(wrong) => Some(wrong.clone()),
        RefusedPeer::NotThe { .. } | RefusedPeer::Nobody(_) => None,
    }
}

impl From<RefusedPeer> for Error {
    fn from(refused: RefusedPeer) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}
