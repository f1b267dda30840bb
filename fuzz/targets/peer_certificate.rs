//! The name in a peer's certificate: one workload's, in the one spelling that it has, or none.
#![no_main]

use rustls_pki_types::CertificateDer;
use weft_certs::{Peer, SpiffeId};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(peer) = Peer::of(&[CertificateDer::from(bytes)]) {
        let name = peer.identity.as_str();
        assert_eq!(name.parse(), Ok(peer.identity.clone()));
        let parts = (peer.identity.trust_domain(), peer.identity.namespace(), peer.identity.service_account());
        assert_eq!(SpiffeId::new(parts.0, parts.1, parts.2), Ok(peer.identity.clone()));
        assert!(bytes.windows(name.len()).any(|part| part == name.as_bytes()), "{name} is not in the certificate");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(identity) = text.parse::<SpiffeId>()
    {
        assert_eq!(identity.as_str(), text);
    }
});
