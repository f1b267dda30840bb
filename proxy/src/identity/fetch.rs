//! One certificate, fetched: a fresh key, a request, a proof, and the answer checked.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tonic::{Code, Request, transport::Channel};
use weft_api::pb::{
    CertifyRequest, CertifyResponse, Renewal, certification_client::CertificationClient, certify_request::Proof,
};
use weft_certs::{
    BundleError, CertificateRequest, KeyError, KeyPair, Leaf, LeafError, SpiffeId, TlsError, TrustBundle,
};

use super::channel::ChannelError;
use crate::config::ControlPlane;

/// How long the control plane may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The bootstrap bundle, or the token.
    #[error("{path} cannot be read: check {setting}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing to prove who we are.
    #[error("there is no proof of identity: set WEFT_JOIN_TOKEN_FILE or WEFT_SERVICE_ACCOUNT_TOKEN_FILE")]
    NoProof,
    /// The key.
    #[error("no key can be made")]
    Key(#[from] KeyError),
    /// The way there.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The control plane said no, or nothing.
    #[error("the control plane does not certify {identity}: {}: {}", .status.code(), .status.message())]
    Refused {
        /// Who asked.
        identity: SpiffeId,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// What it sent is no leaf of ours.
    #[error("the control plane sent a certificate that cannot be used")]
    Leaf(#[from] LeafError),
    /// It certified somebody else.
    #[error("the control plane certified {actual}, not {expected}")]
    WrongName {
        /// Who we are.
        expected: SpiffeId,
        /// Whom it certified.
        actual: SpiffeId,
    },
    /// No peer that trusts what we are told to trust would believe the leaf.
    #[error("the trust bundle does not hold for the certificate that came with it")]
    Untrusted(#[source] weft_certs::Untrusted),
    /// The trust bundle.
    #[error("the trust bundle cannot be used")]
    Bundle(#[from] BundleError),
    /// TLS with all of it.
    #[error("the certificate makes no TLS")]
    Tls(#[from] TlsError),
}

impl FetchError {
    /// Whether another proof may be taken where this one was not.
    pub(super) fn is_about_the_proof(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied))
    }
}

/// The trust bundle that the proxy was given.
pub(super) fn bootstrap(path: &Path) -> Result<TrustBundle, FetchError> {
    Ok(TrustBundle::from_pem(&read(path, "WEFT_TRUST_BUNDLE_FILE")?)?)
}

/// The proof that this connection's own certificate is.
pub(super) fn renewal() -> Proof {
    Proof::Renewal(Renewal {})
}

/// The proof that the environment gives, read anew each time: Kubernetes replaces its tokens.
pub(super) fn token(plane: &ControlPlane) -> Result<Proof, FetchError> {
    let trimmed = |path: &Path, setting| Ok::<_, FetchError>(read(path, setting)?.trim().to_owned());
    match (&plane.service_account_token_file, &plane.join_token_file) {
        (Some(path), _) => Ok(Proof::ServiceAccountToken(trimmed(path, "WEFT_SERVICE_ACCOUNT_TOKEN_FILE")?)),
        (None, Some(path)) => Ok(Proof::JoinToken(trimmed(path, "WEFT_JOIN_TOKEN_FILE")?)),
        (None, None) => Err(FetchError::NoProof),
    }
}

/// Asks for a certificate for a key made here and now.
pub(super) async fn certify(
    channel: Channel,
    name: &SpiffeId,
    proof: Proof,
) -> Result<(Leaf, TrustBundle), FetchError> {
    let key = KeyPair::generate()?;
    let csr_der = CertificateRequest::new(&key, name)?.into_der();
    let mut request = Request::new(CertifyRequest { csr_der, proof: Some(proof) });
    request.set_timeout(DEADLINE);
    let refused = |status| FetchError::Refused { identity: name.clone(), status: Box::new(status) };
    let answer = CertificationClient::new(channel).certify(request).await.map_err(refused)?;
    accept(name, key, answer.into_inner())
}

/// Checks what came: our name, our key, and a bundle that holds for both.
fn accept(name: &SpiffeId, key: KeyPair, answer: CertifyResponse) -> Result<(Leaf, TrustBundle), FetchError> {
    let leaf = Leaf::new(answer.chain_der.into_iter().map(Into::into).collect(), key)?;
    if leaf.identity() != name {
        return Err(FetchError::WrongName { expected: name.clone(), actual: leaf.identity().clone() });
    }
    let anchors = answer.trust_bundle.unwrap_or_default().anchors_der;
    let bundle = TrustBundle::new(anchors.into_iter().map(Into::into))?;
    leaf.verify(&bundle, SystemTime::now()).map_err(FetchError::Untrusted)?;
    Ok((leaf, bundle))
}

fn read(path: &Path, setting: &'static str) -> Result<String, FetchError> {
    std::fs::read_to_string(path).map_err(|source| FetchError::File { path: path.to_owned(), setting, source })
}
