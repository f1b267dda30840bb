//! Who a certificate chain says its holder is. The chain itself is verified elsewhere ([`crate::MeshTls`]).

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{SpiffeId, SpiffeIdError, Validity};

/// Leaf, issuer, and two more, which a cross-signed rotation may need.
pub(crate) const MOST_CERTIFICATES: usize = 4;
/// Bytes of a whole chain. Ours take about 1.2 KB.
pub(crate) const MOST_BYTES: usize = 16 * 1024;

/// What a verified peer's leaf says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub identity: SpiffeId,
    /// Until when it is. A resumed session does not check this again: the holder of the connection does.
    pub not_after: SystemTime,
}

/// A certificate that names no workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The peer sent nothing.
    #[error("no certificate")]
    NoCertificate,
    /// More certificates or bytes than any chain of ours.
    #[error("a chain of {certificates} certificates and {bytes} bytes is too large")]
    TooLarge {
        /// How many certificates.
        certificates: usize,
        /// Their bytes together.
        bytes: usize,
    },
    /// Not a certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// No subject alternative name is a URI.
    #[error("the certificate has no URI name")]
    NoUri,
    /// A workload has one name.
    #[error("the certificate has {count} URI names")]
    ManyUris {
        /// How many.
        count: usize,
    },
    /// The URI names no workload.
    #[error("the certificate's URI name {uri:?} is not a workload's")]
    NotSpiffe {
        /// The URI, cut to 256 characters.
        uri: String,
        /// What is wrong with it.
        source: SpiffeIdError,
    },
}

/// The identity in the leaf of `chain` (leaf first): its one URI name. Names of other kinds are ignored.
///
/// # Errors
/// Whatever keeps the leaf from naming exactly one workload.
pub fn identity_of(chain: &[CertificateDer<'_>]) -> Result<SpiffeId, IdentityError> {
    Ok(Peer::of(chain)?.identity)
}

impl Peer {
    /// What the leaf of `chain` (leaf first) says.
    ///
    /// # Errors
    /// Whatever keeps the leaf from naming exactly one workload.
    pub fn of(chain: &[CertificateDer<'_>]) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        check_size(leaf, &chain[1..])?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| IdentityError::Unreadable)?;
        Ok(Self { identity: workload(&leaf)?, not_after: Validity::of(&leaf).not_after })
    }
}

/// Refuses a chain that would cost more to look at than it can be worth.
pub(crate) fn check_size(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), IdentityError> {
    let certificates = 1 + rest.len();
    let bytes = leaf.len() + rest.iter().map(|certificate| certificate.len()).sum::<usize>();
    if certificates > MOST_CERTIFICATES || bytes > MOST_BYTES {
        return Err(IdentityError::TooLarge { certificates, bytes });
    }
    Ok(())
}

fn workload(leaf: &X509Certificate<'_>) -> Result<SpiffeId, IdentityError> {
    let names = leaf.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let uris = || names.iter().filter_map(uri);
    let Some(uri) = uris().next() else { return Err(IdentityError::NoUri) };
    let count = uris().count();
    if count > 1 {
        return Err(IdentityError::ManyUris { count });
    }
    uri.parse().map_err(|source| IdentityError::NotSpiffe { uri: uri.chars().take(256).collect(), source })
}

/// The text of a URI name; a malformed one counts too, and names nothing.
fn uri<'a>(name: &'a GeneralName<'_>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        GeneralName::Invalid(tag, _) if tag.0 == 6 => Some(""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{Mesh, Rogue, dns, id, uri};

    const GOOD: &str = "spiffe://mesh.local/ns/shop/sa/orders";

    fn of(certificate: CertificateDer<'_>) -> Result<SpiffeId, IdentityError> {
        identity_of(&[certificate])
    }

    #[test]
    fn a_leaf_of_the_mesh_names_its_workload_and_its_end() {
        let leaf = Mesh::new().leaf("orders");
        let peer = Peer::of(leaf.chain()).unwrap();
        assert_eq!((peer.identity, peer.not_after), (id("orders"), leaf.not_after()));
    }

    #[test]
    fn a_leaf_that_does_not_name_one_workload_says_what_is_wrong() {
        let rogue = Rogue::new(|_| ());
        assert_eq!(identity_of(&[]), Err(IdentityError::NoCertificate));
        assert_eq!(of(rogue.named(vec![])), Err(IdentityError::NoUri));
        assert_eq!(of(rogue.named(vec![dns("orders.shop.svc")])), Err(IdentityError::NoUri));
        assert_eq!(of(rogue.named(vec![uri(GOOD), uri(GOOD)])), Err(IdentityError::ManyUris { count: 2 }));
        assert_eq!(of(rogue.named(vec![dns("orders"), uri(GOOD)])), Ok(id("orders")));
        for odd in ["https://orders", "spiffe://mesh.local/orders", "spiffe://mesh.local/ns/shop/sa/a\n", ""] {
            assert!(matches!(of(rogue.named(vec![uri(odd)])), Err(IdentityError::NotSpiffe { .. })), "{odd}");
        }
    }

    #[test]
    fn a_huge_chain_is_refused_before_it_is_looked_at() {
        let rogue = Rogue::new(|_| ());
        let huge = rogue.named((0..2000).map(|n| uri(&format!("spiffe://mesh.local/ns/shop/sa/a{n}"))).collect());
        assert!(matches!(of(huge), Err(IdentityError::TooLarge { certificates: 1, .. })));
        let leaf = rogue.named(vec![uri(GOOD)]);
        let long = vec![leaf; MOST_CERTIFICATES + 1];
        assert!(matches!(identity_of(&long), Err(IdentityError::TooLarge { certificates: 5, .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(of(CertificateDer::from(bytes)).is_err());
        }

        #[test]
        fn no_damaged_leaf_makes_it_panic(at in 0_usize..500, byte: u8) {
            let mut leaf = LEAF.with(|leaf| leaf.to_vec());
            let at = at % leaf.len();
            leaf[at] = byte;
            let _ = of(CertificateDer::from(leaf)); // either answer is right: the signature is checked elsewhere
        }
    }

    thread_local! {
        static LEAF: CertificateDer<'static> = Mesh::new().leaf("orders").chain()[0].clone();
    }
}
