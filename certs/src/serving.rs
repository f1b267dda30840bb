//! Serving certificates: for a server that is found by a name of the cluster's DNS, as the webhook is by the API server.
//!
//! They have nothing to do with the mesh's identities: an authority of their own signs them, and only those believe in it
//! who are told to. When to renew which of them is the control plane's decision.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::{ServerConfig, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    AuthorityError, TrustBundle, Validity,
    authority::{Authority, authority_params},
    text::pem_of,
    tls::{provider, verify_chain},
};

const PROTOCOL: &[u8] = b"http/1.1";

/// Signs the certificates of servers, and nothing else.
pub struct ServingAuthority(Authority);

/// A server's certificate and key, as a Secret keeps them.
pub struct ServingLeaf {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key. Secret.
    pub key_pem: String,
}

/// A certificate and key in use.
#[derive(Clone)]
pub struct Serving {
    chain: Vec<CertificateDer<'static>>,
    validity: Validity,
    server: Arc<ServerConfig>,
}

/// A serving certificate that could not be made or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The authority is not good.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Its span of time is impossible.
    #[error(transparent)]
    Validity(#[from] crate::ValidityError),
    /// The library did not make a key or a signature.
    #[error("no serving certificate could be made")]
    Sign(#[from] rcgen::Error),
    /// The text has no certificate or no key.
    #[error("the text has no certificate or no private key in PEM")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// The text has no certificate.
    #[error("the text has no certificate that can be read")]
    NoCertificate,
    /// TLS does not take certificate and key together.
    #[error("certificate and key make no server")]
    Tls(#[from] rustls::Error),
}

impl ServingAuthority {
    /// A new authority with a new key.
    ///
    /// # Errors
    /// An impossible validity, or no key to be had.
    pub fn generate(validity: Validity) -> Result<Self, AuthorityError> {
        let (params, key) = authority_params("weft serving authority", BasicConstraints::Constrained(0), validity)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self(Authority::new(certificate, key)?))
    }

    /// An authority from its certificate and its key (PKCS #8).
    ///
    /// # Errors
    /// When the text does not hold an authority's certificate and its key.
    pub fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        Ok(Self(Authority::from_pem(text)?))
    }

    /// What clients are told to believe.
    pub fn certificate_pem(&self) -> String {
        pem_of(&self.0.certificate)
    }

    /// The private key. Secret.
    pub fn key_pem(&self) -> String {
        self.0.signer.key().serialize_pem()
    }

    /// How long it holds.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// A certificate and a new key for a server of these names. Its life ends with the authority's at the latest.
    ///
    /// # Errors
    /// A name is none, or nothing is left of the span.
    pub fn issue(&self, names: &[String], validity: Validity) -> Result<ServingLeaf, ServingError> {
        let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        (params.not_before, params.not_after) = validity.within(self.0.validity).dates()?;
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.0.signer)?;
        Ok(ServingLeaf { certificate_pem: pem_of(certificate.der()), key_pem: key.serialize_pem() })
    }

    /// Whether it has signed what is served, and that holds at `now`.
    pub fn has_signed(&self, serving: &Serving, now: SystemTime) -> bool {
        let bundle = TrustBundle::new([self.0.certificate.clone()]);
        bundle.is_ok_and(|bundle| verify_chain(&serving.chain, &bundle, now).is_ok())
    }
}

impl Serving {
    /// What a Secret of type kubernetes.io/tls holds, as a server.
    ///
    /// # Errors
    /// One of the two cannot be read, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, ServingError> {
        let chain = certificates(certificate)?;
        let validity = validity(chain.first().ok_or(ServingError::NoCertificate)?)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13])?;
        let mut server = builder.with_no_client_auth().with_single_cert(chain.clone(), key)?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { chain, validity, server: Arc::new(server) })
    }

    /// TLS 1.3 without client certificates; ALPN `http/1.1`.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// How long it holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// How long ago it was made.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.validity.not_before).unwrap_or_default()
    }
}

/// A list of authorities in PEM without those that are over at `now`.
///
/// # Errors
/// It cannot be read.
pub fn without_expired(bundle: &str, now: SystemTime) -> Result<String, ServingError> {
    let mut kept = String::new();
    for certificate in certificates(bundle)? {
        if validity(&certificate)?.not_after > now {
            kept += &pem_of(&certificate);
        }
    }
    Ok(kept)
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, ServingError> {
    Ok(CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>()?)
}

fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, ServingError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| ServingError::NoCertificate)?;
    Ok(Validity::of(&parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn authority() -> ServingAuthority {
        ServingAuthority::generate(Validity::lasting(SystemTime::now(), 100 * DAY)).unwrap()
    }

    fn serving(authority: &ServingAuthority, lifetime: Duration) -> Serving {
        let names = ["weft-control-plane.weft.svc".to_owned()];
        let leaf = authority.issue(&names, Validity::lasting(SystemTime::now(), lifetime)).unwrap();
        Serving::from_pem(&leaf.certificate_pem, &leaf.key_pem).unwrap()
    }

    #[test]
    fn a_certificate_holds_under_the_authority_that_signed_it_alone() {
        let (one, other, now) = (authority(), authority(), SystemTime::now());
        let serving = serving(&one, 10 * DAY);
        assert!(one.has_signed(&serving, now));
        assert!(!other.has_signed(&serving, now));
        assert!(!one.has_signed(&serving, now + 11 * DAY), "it has expired by then");
    }

    #[test]
    fn an_authority_survives_its_text_and_outlives_what_it_signs() {
        let one = authority();
        let again = ServingAuthority::from_pem(&(one.certificate_pem() + &one.key_pem())).unwrap();
        let serving = serving(&again, 1000 * DAY);
        assert!(one.has_signed(&serving, SystemTime::now()));
        assert_eq!(serving.validity().not_after, one.validity().not_after);
    }

    #[test]
    fn what_does_not_belong_together_makes_no_server() {
        let names = ["a.svc".to_owned()];
        let leaf =
            |authority: &ServingAuthority| authority.issue(&names, Validity::lasting(SystemTime::now(), DAY)).unwrap();
        let (one, other) = (leaf(&authority()), leaf(&authority()));
        assert!(matches!(Serving::from_pem(&one.certificate_pem, &other.key_pem), Err(ServingError::Tls(_))));
        assert!(matches!(Serving::from_pem("", &one.key_pem), Err(ServingError::NoCertificate)));
        assert!(matches!(Serving::from_pem(&one.certificate_pem, "no key"), Err(ServingError::Pem(_))));
    }

    #[test]
    fn expired_authorities_leave_the_bundle() {
        let (short, long) =
            (ServingAuthority::generate(Validity::lasting(SystemTime::now(), DAY)).unwrap(), authority());
        let both = short.certificate_pem() + &long.certificate_pem();
        let now = SystemTime::now();
        assert_eq!(without_expired(&both, now).unwrap(), both);
        assert_eq!(without_expired(&both, now + 2 * DAY).unwrap(), long.certificate_pem());
    }
}
