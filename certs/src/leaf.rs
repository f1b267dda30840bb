//! What a workload holds: its chain, its key, and what the chain says.

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{IdentityError, KeyPair, Peer, SpiffeId, TrustBundle, Validity, digest::sha256_hex, tls};

/// A workload's certificate with its key. Cheap to clone; the key never leaves it.
#[derive(Clone)]
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    identity: SpiffeId,
    validity: Validity,
    issuer_id: Arc<str>,
}

/// A chain that leads to no root of a bundle, or is out of date.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Untrusted(rustls::Error);

/// A chain that is no use to its holder.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// It names no workload.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The issuer's certificate must follow the leaf.
    #[error("the chain has no issuer after the leaf")]
    NoIssuer,
    /// The certificate is for another key.
    #[error("the certificate is not for this key")]
    Key(#[source] rustls::Error),
}

impl Leaf {
    /// A chain as the issuer gave it (leaf first, then its issuer), with the key that was certified.
    ///
    /// # Errors
    /// When the two do not belong together or the leaf names no workload. Trust is not decided here.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: KeyPair) -> Result<Self, LeafError> {
        let identity = Peer::of(&chain)?.identity;
        let [leaf, issuer, ..] = chain.as_slice() else { return Err(LeafError::NoIssuer) };
        let unreadable = |_| LeafError::Identity(IdentityError::Unreadable);
        let validity = Validity::of(&X509Certificate::from_der(leaf).map_err(unreadable)?.1);
        let issuer_id = key_id(issuer).ok_or(LeafError::NoIssuer)?.into();
        let certified =
            CertifiedKey::from_der(chain, key.into_der().into(), tls::provider()).map_err(LeafError::Key)?;
        Ok(Self { certified: Arc::new(certified), identity, validity, issuer_id })
    }

    /// Who this is.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// Leaf first, then its issuer.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// From when it holds.
    pub fn not_before(&self) -> SystemTime {
        self.validity.not_before
    }

    /// Until when it holds.
    pub fn not_after(&self) -> SystemTime {
        self.validity.not_after
    }

    /// Hex of the SHA-256 of the issuer's public key (SPKI).
    pub fn issuer_id(&self) -> &str {
        &self.issuer_id
    }

    /// Whether who trusts `bundle` would believe this leaf at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, bundle: &TrustBundle, now: SystemTime) -> Result<(), Untrusted> {
        tls::verify_chain(self.chain(), bundle, now).map_err(Untrusted)
    }

    pub(crate) fn certified(&self) -> &CertifiedKey {
        &self.certified
    }
}

/// The name that an authority goes by: hex of the SHA-256 of its public key (SPKI). None: it is no certificate.
pub fn key_id(issuer: &CertificateDer<'_>) -> Option<String> {
    let (_, issuer) = X509Certificate::from_der(issuer).ok()?;
    Some(sha256_hex(issuer.public_key().raw))
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("identity", &self.identity)
            .field("validity", &self.validity)
            .field("issuer_id", &self.issuer_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{CertificateRequest, Issuer, Root, fixture::Mesh};

    #[test]
    fn a_leaf_is_believed_by_who_trusts_its_root_while_it_lasts() {
        let mesh = Mesh::new();
        let (leaf, now) = (mesh.leaf("orders"), SystemTime::now());
        leaf.verify(&mesh.bundle(), now).unwrap();
        leaf.verify(&Mesh::new().bundle(), now).unwrap_err();
        leaf.verify(&mesh.bundle(), leaf.not_after() + Duration::from_secs(1)).unwrap_err();
        leaf.verify(&mesh.bundle(), SystemTime::UNIX_EPOCH - Duration::from_secs(1)).unwrap_err();
    }

    #[test]
    fn a_chain_for_another_key_is_refused() {
        let validity = Validity::lasting(SystemTime::now(), Duration::from_secs(60));
        let issuer = Issuer::generate(&Root::generate(validity).unwrap(), validity).unwrap();
        let id: SpiffeId = "spiffe://mesh.local/ns/shop/sa/orders".parse().unwrap();
        let request = CertificateRequest::new(&KeyPair::generate().unwrap(), &id).unwrap();
        let chain = issuer.issue(request.der(), &id, validity).unwrap();
        assert!(matches!(Leaf::new(chain.clone(), KeyPair::generate().unwrap()), Err(LeafError::Key(_))));
        assert!(matches!(Leaf::new(chain[..1].to_vec(), KeyPair::generate().unwrap()), Err(LeafError::NoIssuer)));
    }
}
