//! Certificates as text: PEM, with the line ends that YAML shows as lines.

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls_pki_types::CertificateDer;

/// One certificate in PEM.
pub(crate) fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    encode_config(&Pem::new("CERTIFICATE", certificate.as_ref()), lines)
}
