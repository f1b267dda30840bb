//! The two verifiers: the chain against the bundle, then who the leaf says it is.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::verify_tls13_signature,
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{RefusedPeer, TlsError, WrongIdentity, provider};
use crate::{SpiffeId, TrustBundle, identity_of, peer::check_size};

/// Of a client: the server must be `expected`. Names of hosts play no part.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    roots: Arc<RootCertStore>,
    expected: SpiffeId,
}

/// Of a server: the client must be a workload, if it says anything.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    mandatory: bool,
}

/// Checks a chain (leaf first) against a bundle as a client does.
pub(crate) fn verify_chain(chain: &[CertificateDer<'_>], bundle: &TrustBundle, now: SystemTime) -> Result<(), Error> {
    let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::FailedToGetCurrentTime)?;
    verify(leaf, intermediates, bundle.roots(), UnixTime::since_unix_epoch(now))
}

fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), Error> {
    let algorithms = provider().signature_verification_algorithms.all;
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms)
}

impl ServerVerifier {
    pub(super) fn new(bundle: &TrustBundle, expected: SpiffeId) -> Self {
        Self { roots: bundle.roots().clone(), expected }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let expected = || self.expected.clone();
        let not_the = |source| RefusedPeer::NotThe { expected: expected(), source };
        check_size(leaf, intermediates).map_err(not_the)?;
        verify(leaf, intermediates, &self.roots, now)?;
        let actual = identity_of(std::slice::from_ref(leaf)).map_err(not_the)?;
        if actual != self.expected {
            return Err(RefusedPeer::from(WrongIdentity { expected: expected(), actual }).into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientVerifier {
    pub(super) fn mandatory(bundle: &TrustBundle) -> Result<Self, TlsError> {
        Self::new(bundle, true)
    }

    pub(super) fn optional(bundle: &TrustBundle) -> Result<Self, TlsError> {
        Self::new(bundle, false)
    }

    fn new(bundle: &TrustBundle, mandatory: bool) -> Result<Self, TlsError> {
        let chain = WebPkiClientVerifier::builder_with_provider(bundle.roots().clone(), provider().clone());
        Ok(Self { chain: chain.build().map_err(TlsError::Bundle)?, mandatory })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// None: a client of the mesh has one leaf to choose from.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_size(leaf, intermediates).map_err(RefusedPeer::Nobody)?;
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        identity_of(std::slice::from_ref(leaf)).map_err(RefusedPeer::Nobody)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
