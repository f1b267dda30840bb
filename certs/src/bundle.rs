//! What is trusted: one or more roots, more than one while a rotation is under way.

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{Validity, digest::sha256, text::pem_of};

/// Roots at once. A rotation needs two, a federation a few.
const MOST_ANCHORS: usize = 32;
/// Bytes of one root.
const MOST_ANCHOR_BYTES: usize = 16 * 1024;

/// The roots that chains are verified against. Order and repeats do not matter. Cheap to clone.
#[derive(Clone)]
pub struct TrustBundle {
    anchors: Arc<[CertificateDer<'static>]>, // sorted, each once
    roots: Arc<RootCertStore>,
    version: u64,
    not_after: SystemTime,
}

/// A set of roots that nothing can be verified with.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No root: nobody would be trusted.
    #[error("the trust bundle is empty")]
    Empty,
    /// More roots, or a larger one, than makes sense.
    #[error("the trust bundle has more than {MOST_ANCHORS} roots, or one of more than {MOST_ANCHOR_BYTES} bytes")]
    TooLarge,
    /// Not PEM.
    #[error("the trust bundle is not PEM")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// Not a certificate.
    #[error("a root of the trust bundle cannot be read")]
    Anchor(#[source] rustls::Error),
}

impl TrustBundle {
    /// A bundle of these roots.
    ///
    /// # Errors
    /// When there is none, one of them cannot be read, or they are too many.
    pub fn new(anchors: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<Self, BundleError> {
        let mut anchors: Vec<_> = anchors.into_iter().take(MOST_ANCHORS + 1).collect();
        anchors.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        anchors.dedup();
        if anchors.is_empty() {
            return Err(BundleError::Empty);
        }
        if anchors.len() > MOST_ANCHORS || anchors.iter().any(|anchor| anchor.len() > MOST_ANCHOR_BYTES) {
            return Err(BundleError::TooLarge);
        }
        let mut roots = RootCertStore::empty();
        for anchor in &anchors {
            roots.add(anchor.clone()).map_err(BundleError::Anchor)?;
        }
        let version = version(&anchors);
        let not_after = anchors.iter().filter_map(end).min().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self { anchors: anchors.into(), roots: Arc::new(roots), version, not_after })
    }

    /// A bundle from a file's text: every certificate in it is a root.
    ///
    /// # Errors
    /// As [`TrustBundle::new`], and when the text is not PEM.
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        let anchors: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        Self::new(anchors.map_err(BundleError::Pem)?)
    }

    /// The roots as a file's text.
    pub fn to_pem(&self) -> String {
        self.anchors.iter().map(pem_of).collect()
    }

    /// This bundle and `other` together, as a rotation needs them.
    ///
    /// # Errors
    /// When they are too many.
    pub fn with(&self, other: &Self) -> Result<Self, BundleError> {
        Self::new(self.anchors.iter().chain(other.anchors.iter()).cloned())
    }

    /// The roots in DER, in an order of their own.
    pub fn anchors(&self) -> &[CertificateDer<'static>] {
        &self.anchors
    }

    /// When the first of the roots is over. Who verifies a chain does not ask: it is for those who replace roots.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// A hash of the content: equal wherever the same roots are trusted.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }
}

/// None: rustls reads it and the parser of certificates does not.
fn end(anchor: &CertificateDer<'_>) -> Option<SystemTime> {
    Some(Validity::of(&X509Certificate::from_der(anchor).ok()?.1).not_after)
}

fn version(anchors: &[CertificateDer<'_>]) -> u64 {
    let digests: Vec<u8> = anchors.iter().flat_map(|anchor| sha256(anchor).as_ref().to_vec()).collect();
    let digest = sha256(&digests);
    digest.as_ref().iter().take(8).fold(0, |version, byte| version << 8 | u64::from(*byte))
}

impl PartialEq for TrustBundle {
    fn eq(&self, other: &Self) -> bool {
        self.anchors == other.anchors
    }
}

impl Eq for TrustBundle {}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustBundle({} roots, version {:016x})", self.anchors.len(), self.version)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Root;

    fn root() -> CertificateDer<'static> {
        Root::generate(Validity::lasting(SystemTime::now(), Duration::from_secs(60))).unwrap().certificate().clone()
    }

    #[test]
    fn the_version_depends_on_the_roots_and_on_nothing_else() {
        let (a, b) = (root(), root());
        let one = TrustBundle::new([a.clone(), b.clone()]).unwrap();
        let other = TrustBundle::new([b.clone(), a.clone(), b]).unwrap();
        assert_eq!((&one, one.version()), (&other, other.version()));
        assert_ne!(one.version(), TrustBundle::new([a]).unwrap().version());
    }

    #[test]
    fn a_bundle_survives_its_file() {
        let bundle = TrustBundle::new([root(), root()]).unwrap();
        assert_eq!(TrustBundle::from_pem(&bundle.to_pem()).unwrap(), bundle);
    }

    #[test]
    fn a_bundle_that_trusts_nobody_or_nonsense_is_refused() {
        assert!(matches!(TrustBundle::from_pem("nothing here"), Err(BundleError::Empty)));
        let nonsense = CertificateDer::from(vec![0x30, 0x82]);
        assert!(matches!(TrustBundle::new([nonsense]), Err(BundleError::Anchor(_))));
        let huge = CertificateDer::from(vec![0; MOST_ANCHOR_BYTES + 1]);
        assert!(matches!(TrustBundle::new([huge]), Err(BundleError::TooLarge)));
        let many = (0..100_u8).map(|n| CertificateDer::from(vec![n]));
        assert!(matches!(TrustBundle::new(many), Err(BundleError::TooLarge)));
    }
}
