//! Certificates as they are kept in Secrets and ConfigMaps: when they end, and whether one holds under another.

use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::parse_x509_certificate;

/// What is wrong with a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is none in it.
    #[error("there is no certificate in PEM")]
    None,
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It does not hold.
    #[error("the certificate does not hold: {0}")]
    Untrusted(#[source] webpki::Error),
}

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Its begin.
    pub begin: SystemTime,
    /// Its end.
    pub end: SystemTime,
}

impl Life {
    /// What is left; nothing once it has ended.
    pub fn left(&self, now: SystemTime) -> Duration {
        self.end.duration_since(now).unwrap_or_default()
    }

    /// What part of it is left, 0 to 1.
    pub fn part_left(&self, now: SystemTime) -> f64 {
        let whole = self.end.duration_since(self.begin).unwrap_or_default();
        if whole.is_zero() { 0.0 } else { self.left(now).div_duration_f64(whole) }
    }
}

/// The certificates of a PEM text.
///
/// # Errors
/// There is none, or one is broken.
pub fn all(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|all| !all.is_empty()).ok_or(CertificateError::None)
}

/// The life of the first certificate of a PEM text.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn life(pem: &[u8]) -> Result<Life, CertificateError> {
    let all = all(pem)?;
    let (_, certificate) = parse_x509_certificate(&all[0]).map_err(|_| CertificateError::Unreadable)?;
    let validity = certificate.validity();
    let time = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(Life { begin: time(validity.not_before.timestamp()), end: time(validity.not_after.timestamp()) })
}

/// Whether a server's chain holds under an authority, for a name.
///
/// # Errors
/// One of them cannot be read, or it does not hold.
pub fn serves(chain: &[u8], authority: &[u8], name: &str, now: SystemTime) -> Result<(), CertificateError> {
    let (chain, authorities) = (all(chain)?, all(authority)?);
    let anchors = authorities.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>();
    let anchors = anchors.map_err(CertificateError::Untrusted)?;
    let leaf = EndEntityCert::try_from(&chain[0]).map_err(CertificateError::Untrusted)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &chain[1..], now, usage, None, None)
        .map_err(CertificateError::Untrusted)?;
    let name = ServerName::try_from(name).map_err(|_| CertificateError::Unreadable)?;
    leaf.verify_is_valid_for_subject_name(&name).map_err(CertificateError::Untrusted)
}
