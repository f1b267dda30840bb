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
use rustls::{
    RootCertStore, ServerConfig,
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::TLS13,
};
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
    key: Arc<PrivateKeyDer<'static>>,
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
    /// Nobody can be verified by these authorities.
    #[error("the authorities of callers make no verifier")]
    Callers(#[from] VerifierBuilderError),
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
        let key = Arc::new(PrivateKeyDer::from_pem_slice(key.as_bytes())?);
        let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13])?;
        let mut server = builder.with_no_client_auth().with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { chain, key, validity, server: Arc::new(server) })
    }

    /// TLS 1.3 without client certificates; ALPN `http/1.1`.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// TLS 1.3 for callers with a certificate of one of these authorities (PEM), and for no others; ALPN `http/1.1`.
    ///
    /// # Errors
    /// The authorities cannot be read, or are none.
    pub fn server_for(&self, authorities: &str) -> Result<Arc<ServerConfig>, ServingError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(authorities)? {
            roots.add(authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider().clone()).build()?;
        let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(&[&TLS13])?;
        let builder = builder.with_client_cert_verifier(verifier);
        let mut server = builder.with_single_cert(self.chain.clone(), self.key.clone_key())?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(server))
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

/// The common name in the leaf of `chain` (leaf first), which has been verified. None: it has none.
pub fn common_name(chain: &[CertificateDer<'_>]) -> Option<String> {
    let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
    let name = leaf.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
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

    /// A client with a certificate of this name, signed by `authority`.
    fn client(authority: &ServingAuthority, name: &str) -> rustls::ClientConfig {
        let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &authority.0.signer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider().clone());
        let builder = builder.with_protocol_versions(&[&TLS13]).unwrap();
        let builder = builder.with_root_certificates(roots(&[authority.certificate_pem()]));
        builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
    }

    fn roots(authorities: &[String]) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        certificates(&authorities.concat()).unwrap().into_iter().for_each(|one| roots.add(one).unwrap());
        roots
    }

    /// The common name that the server sees; None: there is no connection.
    fn seen(server: Arc<ServerConfig>, client: rustls::ClientConfig) -> Option<String> {
        let name = "weft-control-plane.weft.svc".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = rustls::ServerConnection::new(server).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().ok()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().ok()?;
        }
        common_name(server.peer_certificates()?)
    }

    #[test]
    fn callers_are_told_by_their_authority_and_their_name() {
        let (ours, strange) = (authority(), authority());
        let serving = serving(&ours, DAY);
        let server = serving.server_for(&ours.certificate_pem()).unwrap();
        assert_eq!(seen(server.clone(), client(&ours, "front-proxy-client")).as_deref(), Some("front-proxy-client"));
        let mut stranger = client(&strange, "front-proxy-client");
        stranger.dangerous().set_certificate_verifier(trusting(&ours));
        assert_eq!(seen(server.clone(), stranger), None);
        let builder = rustls::ClientConfig::builder_with_provider(provider().clone());
        let builder = builder.with_protocol_versions(&[&TLS13]).unwrap();
        let nobody = builder.with_root_certificates(roots(&[ours.certificate_pem()])).with_no_client_auth();
        assert_eq!(seen(server, nobody), None);
        assert!(serving.server_for("").is_err());
    }

    fn trusting(authority: &ServingAuthority) -> Arc<dyn rustls::client::danger::ServerCertVerifier> {
        let roots = Arc::new(roots(&[authority.certificate_pem()]));
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots, provider().clone()).build().unwrap()
    }
}
