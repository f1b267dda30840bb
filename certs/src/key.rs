//! A workload's key, and the request to certify it.

use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, SanType};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::SpiffeId;

/// An ECDSA P-256 key pair that lives in memory only. No `Debug`, no `Clone`.
pub struct KeyPair(rcgen::KeyPair);

/// A PKCS #10 request, signed by the key that it asks a certificate for.
#[derive(Clone, Debug)]
pub struct CertificateRequest(Vec<u8>);

/// The cryptographic library did not make a key or a signature.
#[derive(Debug, thiserror::Error)]
#[error("no key or signature could be made")]
pub struct KeyError(#[from] rcgen::Error);

impl KeyPair {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    /// When the library has none.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    pub(crate) fn into_der(self) -> PrivatePkcs8KeyDer<'static> {
        self.0.into()
    }
}

impl CertificateRequest {
    /// A request for `identity`; the issuer decides by the caller's proof, whatever the request says.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub fn new(key: &KeyPair, identity: &SpiffeId) -> Result<Self, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names.push(SanType::URI(identity.as_str().try_into()?));
        Ok(Self(params.serialize_request(&key.0)?.der().to_vec()))
    }

    /// The request in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The request in DER.
    pub fn into_der(self) -> Vec<u8> {
        self.0
    }
}
