//! The certificate authority: a root that signs issuers, and an issuer that signs workloads' leaves.
//!
//! Who may have which leaf is the control plane's decision; here is only how it is signed. Keys come and go as PEM so
//! that the control plane can keep them where it keeps secrets.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    SpiffeId, Validity, ValidityError, digest::sha256_hex, leaf::key_id, peer::MOST_CERTIFICATES, text::pem_of,
};

/// Bytes of a request. Ours take about 300.
const MOST_REQUEST_BYTES: usize = 4096;
/// Certificates between an issuer and its root: what peers accept, less the leaf and the issuer.
const MOST_ABOVE: usize = MOST_CERTIFICATES - 2;

/// The mesh's root: its certificate is the trust anchor, its key signs issuers and nothing else.
pub struct Root(Authority);

/// Signs leaves; signed by a root, so that the root's key can be kept away.
pub struct Issuer {
    authority: Authority,
    id: String,
    /// Between it and the root, when the root has not signed it itself.
    above: Vec<CertificateDer<'static>>,
}

pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) signer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) validity: Validity,
}

/// An authority that could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its span of time is impossible.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// The library did not make or take a key or certificate.
    #[error("the authority's key or certificate is not usable")]
    Library(#[from] rcgen::Error),
    /// The text has no certificate.
    #[error("the authority's text has no certificate")]
    NoCertificate(#[source] rustls_pki_types::pem::Error),
    /// The text has no private key.
    #[error("the authority's text has no private key")]
    NoKey(#[source] rustls_pki_types::pem::Error),
    /// The certificate may not sign others.
    #[error("the certificate is not an authority's")]
    NotAuthority,
    /// The key is another certificate's.
    #[error("the authority's key does not belong to its certificate")]
    OtherKey,
    /// Peers refuse chains of that many certificates.
    #[error("a chain of {count} certificates is too long: {MOST_ABOVE} may stand between the issuer and the root")]
    TooLong {
        /// How many there are.
        count: usize,
    },
}

/// A request that gets no leaf.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Larger than any request of ours.
    #[error("a request of {bytes} bytes is too large")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Unreadable, or not signed by the key that it is for.
    #[error("the request cannot be read or its signature is wrong")]
    Request(#[source] rcgen::Error),
    /// Only ECDSA P-256 is certified.
    #[error("the request's key is not of ECDSA P-256")]
    Key,
    /// Nothing is left of the span within the issuer's own.
    #[error(transparent)]
    Validity(#[from] ValidityError),
    /// The library did not sign.
    #[error("the leaf could not be signed")]
    Sign(#[source] rcgen::Error),
}

impl Root {
    /// A new root with a new key.
    ///
    /// # Errors
    /// An impossible validity, or no key to be had.
    pub fn generate(validity: Validity) -> Result<Self, AuthorityError> {
        let (params, key) = authority_params("weft root", BasicConstraints::Constrained(1), validity)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self(Authority::new(certificate, key)?))
    }

    /// A root from what [`Root::to_pem`] wrote, or from an operator's own certificate and key (PKCS #8, SEC1 or PKCS #1).
    ///
    /// # Errors
    /// When the text does not hold an authority's certificate and its key.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        Ok(Self(Authority::from_pem(text)?))
    }

    /// Certificate and private key. Secret.
    pub fn to_pem(&self) -> String {
        self.certificate_pem() + &self.key_pem()
    }

    /// The certificate alone.
    pub fn certificate_pem(&self) -> String {
        pem_of(&self.0.certificate)
    }

    /// The private key alone, in PKCS #8. Secret.
    pub fn key_pem(&self) -> String {
        self.0.signer.key().serialize_pem()
    }

    /// Hex of the SHA-256 of its public key (SPKI).
    pub fn id(&self) -> String {
        sha256_hex(&self.0.signer.key().subject_public_key_info())
    }

    /// The trust anchor.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.0.certificate
    }

    /// How long it holds.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }
}

impl Issuer {
    /// A new issuer with a new key, signed by `root`; its life ends with the root's at the latest.
    ///
    /// # Errors
    /// An impossible validity, or no key to be had.
    pub fn generate(root: &Root, validity: Validity) -> Result<Self, AuthorityError> {
        let validity = validity.within(root.0.validity);
        let (params, key) = authority_params("weft issuer", BasicConstraints::Constrained(0), validity)?;
        let certificate = params.signed_by(&key, &root.0.signer)?.der().clone();
        Self::new(Authority::new(certificate, key)?)
    }

    /// An issuer from what [`Issuer::to_pem`] wrote, or from an operator's own certificate and key (PKCS #8, SEC1 or
    /// PKCS #1). Certificates after the first lead towards the root.
    ///
    /// # Errors
    /// When the text does not hold an authority's certificate and its key.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let above: Vec<_> = all.map_err(AuthorityError::NoCertificate)?.into_iter().skip(1).collect();
        if above.len() > MOST_ABOVE {
            return Err(AuthorityError::TooLong { count: above.len() });
        }
        Ok(Self { above, ..Self::new(Authority::from_pem(text)?)? })
    }

    fn new(authority: Authority) -> Result<Self, AuthorityError> {
        let id = key_id(&authority.certificate).ok_or(AuthorityError::NotAuthority)?;
        Ok(Self { authority, id, above: Vec::new() })
    }

    /// Certificates and private key. Secret.
    pub fn to_pem(&self) -> String {
        self.certificate_pem() + &self.key_pem()
    }

    /// The certificate, and after it those that lead towards the root.
    pub fn certificate_pem(&self) -> String {
        std::iter::once(&self.authority.certificate).chain(&self.above).map(pem_of).collect()
    }

    /// The private key alone, in PKCS #8. Secret.
    pub fn key_pem(&self) -> String {
        self.authority.signer.key().serialize_pem()
    }

    /// The issuer's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.authority.certificate
    }

    /// How long it holds.
    pub fn validity(&self) -> Validity {
        self.authority.validity
    }

    /// Hex of the SHA-256 of its public key (SPKI): what [`crate::Leaf::issuer_id`] says of its leaves.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A leaf for `identity` and the request's key, with the issuer's certificate after it, and what stands above that.
    ///
    /// What the request says beside its key is ignored. The leaf's life ends with the issuer's at the latest.
    ///
    /// # Errors
    /// A request that is not one, or a span of time that is over.
    pub fn issue(
        &self,
        csr_der: &[u8],
        identity: &SpiffeId,
        validity: Validity,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let key = requested_key(csr_der)?;
        let (not_before, not_after) = validity.within(self.authority.validity).dates()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (not_before, not_after);
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names.push(SanType::URI(identity.as_str().try_into().map_err(IssueError::Sign)?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.authority.signer).map_err(IssueError::Sign)?;
        let own = [leaf.der(), &self.authority.certificate];
        Ok(own.into_iter().chain(&self.above).cloned().collect())
    }
}

/// The public key of a request whose signature proves that the sender has the private one.
fn requested_key(csr_der: &[u8]) -> Result<rcgen::PublicKey, IssueError> {
    if csr_der.len() > MOST_REQUEST_BYTES {
        return Err(IssueError::TooLarge { bytes: csr_der.len() });
    }
    let request = CertificateSigningRequestDer::from(csr_der);
    let key = CertificateSigningRequestParams::from_der(&request).map_err(IssueError::Request)?.public_key;
    let is_uncompressed_p256 = key.der_bytes().len() == 65 && key.der_bytes()[0] == 4;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 || !is_uncompressed_p256 {
        return Err(IssueError::Key);
    }
    Ok(key)
}

/// The name carries part of the key's hash, so that old and new ones are told apart.
pub(crate) fn authority_params(
    name: &str,
    constraints: BasicConstraints,
    validity: Validity,
) -> Result<(CertificateParams, rcgen::KeyPair), AuthorityError> {
    let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = validity.dates()?;
    params.distinguished_name = DistinguishedName::new();
    let id = sha256_hex(&key.subject_public_key_info());
    params.distinguished_name.push(DnType::CommonName, format!("{name} {}", &id[..16]));
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok((params, key))
}

impl Authority {
    pub(crate) fn new(certificate: CertificateDer<'static>, key: rcgen::KeyPair) -> Result<Self, AuthorityError> {
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| AuthorityError::NotAuthority)?;
        if !parsed.is_ca() {
            return Err(AuthorityError::NotAuthority);
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::OtherKey);
        }
        let validity = Validity::of(&parsed);
        let signer = rcgen::Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { certificate, signer, validity })
    }

    pub(crate) fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(AuthorityError::NoCertificate)?;
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(text.as_bytes());
        let key = rcgen::KeyPair::try_from(&key.map_err(AuthorityError::NoKey)?)?;
        Self::new(certificate, key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        CertificateRequest, KeyPair, Leaf,
        fixture::{Mesh, hour, id},
    };

    fn request() -> Vec<u8> {
        CertificateRequest::new(&KeyPair::generate().unwrap(), &id("anyone")).unwrap().into_der()
    }

    #[test]
    fn a_leaf_carries_the_name_that_the_issuer_was_told_not_the_one_asked_for() {
        let chain = Mesh::new().issuer.issue(&request(), &id("orders"), hour()).unwrap();
        assert_eq!(crate::identity_of(&chain).unwrap(), id("orders"));
    }

    #[test]
    fn a_leaf_knows_its_issuer_and_ends_with_it_at_the_latest() {
        let mesh = Mesh::new();
        let validity = Validity::lasting(SystemTime::now(), Duration::from_secs(1 << 30));
        let leaf: Leaf = mesh.leaf_for("orders", validity);
        assert_eq!(leaf.issuer_id(), mesh.issuer.id());
        assert_eq!(leaf.not_after(), mesh.issuer.validity().not_after);
    }

    #[test]
    fn a_span_that_is_over_gets_no_leaf() {
        let past = Validity::lasting(SystemTime::now() - Duration::from_secs(86_400), Duration::from_secs(60));
        let issued = Mesh::new().issuer.issue(&request(), &id("orders"), past);
        assert!(matches!(issued, Err(IssueError::Validity(ValidityError::Empty))));
    }

    #[test]
    fn an_authority_survives_its_file() {
        let mesh = Mesh::new();
        let root = Root::from_pem(&mesh.root.to_pem()).unwrap();
        let issuer = Issuer::from_pem(&mesh.issuer.to_pem()).unwrap();
        assert_eq!(root.certificate(), mesh.root.certificate());
        assert_eq!((issuer.id(), issuer.validity()), (mesh.issuer.id(), mesh.issuer.validity()));
        issuer.issue(&request(), &id("orders"), hour()).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_authority_says_why() {
        let (one, other) = (Mesh::new().issuer.to_pem(), Mesh::new().issuer.to_pem());
        let key_at = one.find("-----BEGIN PRIVATE").unwrap();
        let mixed = format!("{}{}", &one[..key_at], &other[other.find("-----BEGIN PRIVATE").unwrap()..]);
        assert!(matches!(Issuer::from_pem(&mixed), Err(AuthorityError::OtherKey)));
        assert!(matches!(Issuer::from_pem(&one[..key_at]), Err(AuthorityError::NoKey(_))));
        assert!(matches!(Issuer::from_pem(&one[key_at..]), Err(AuthorityError::NoCertificate(_))));
        let leaf_key = rcgen::KeyPair::generate().unwrap();
        let leaf = CertificateParams::default().self_signed(&leaf_key).unwrap().pem() + &leaf_key.serialize_pem();
        assert!(matches!(Issuer::from_pem(&leaf), Err(AuthorityError::NotAuthority)));
    }

    #[test]
    fn an_operators_root_and_a_chain_below_it_are_taken_in_every_form_of_key() {
        let certificate = include_str!("../testdata/root.crt");
        let bundle = crate::TrustBundle::from_pem(certificate).unwrap();
        for key in [include_str!("../testdata/root.key"), include_str!("../testdata/root-pkcs8.key")] {
            let root = Root::from_pem(&format!("{certificate}{key}")).unwrap();
            assert_eq!(root.certificate(), &bundle.anchors()[0]);
        }
        let chain = [include_str!("../testdata/chain.crt"), include_str!("../testdata/issuer.key")].concat();
        let issuer = Issuer::from_pem(&chain).unwrap();
        let key = KeyPair::generate().unwrap();
        let csr = CertificateRequest::new(&key, &id("orders")).unwrap();
        let leaf = Leaf::new(issuer.issue(csr.der(), &id("orders"), hour()).unwrap(), key).unwrap();
        assert_eq!((leaf.chain().len(), leaf.issuer_id()), (3, issuer.id()));
        leaf.verify(&bundle, SystemTime::now()).unwrap();
        let long = include_str!("../testdata/chain.crt").repeat(3) + include_str!("../testdata/issuer.key");
        assert!(matches!(Issuer::from_pem(&long), Err(AuthorityError::TooLong { count: 5 })));
    }

    #[test]
    fn a_request_with_another_kind_of_key_or_a_wrong_signature_is_refused() {
        let issue = |csr: &[u8]| Mesh::new().issuer.issue(csr, &id("orders"), hour());
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let csr = CertificateParams::default().serialize_request(&key).unwrap();
            assert!(matches!(issue(csr.der()), Err(IssueError::Key)), "{algorithm:?}");
        }
        let mut damaged = request();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(issue(&damaged), Err(IssueError::Request(_))));
        assert!(matches!(issue(b"hello"), Err(IssueError::Request(_))));
        assert!(matches!(issue(&[0x30; 10_000]), Err(IssueError::TooLarge { bytes: 10_000 })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_issuer_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(requested_key(&bytes).is_err());
        }
    }
}
