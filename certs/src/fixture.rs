//! What the tests of this crate share: a mesh's authority, good leaves, and hostile ones.

use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, IsCa, SanType};
use rustls_pki_types::CertificateDer;

use crate::{CertificateRequest, Issuer, KeyPair, Leaf, Root, SpiffeId, TrustBundle, Validity};

pub(crate) struct Mesh {
    pub(crate) root: Root,
    pub(crate) issuer: Issuer,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let validity = hour();
        let root = Root::generate(validity).unwrap();
        let issuer = Issuer::generate(&root, validity).unwrap();
        Self { root, issuer }
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle::new([self.root.certificate().clone()]).unwrap()
    }

    pub(crate) fn leaf(&self, service_account: &str) -> Leaf {
        self.leaf_for(service_account, hour())
    }

    pub(crate) fn leaf_for(&self, service_account: &str, validity: Validity) -> Leaf {
        let (key, id) = (KeyPair::generate().unwrap(), id(service_account));
        let request = CertificateRequest::new(&key, &id).unwrap();
        Leaf::new(self.issuer.issue(request.der(), &id, validity).unwrap(), key).unwrap()
    }
}

pub(crate) fn id(service_account: &str) -> SpiffeId {
    SpiffeId::new("mesh.local", "shop", service_account).unwrap()
}

pub(crate) fn hour() -> Validity {
    Validity::lasting(SystemTime::now(), Duration::from_secs(3600))
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

/// An authority that signs whatever a test wants.
pub(crate) struct Rogue {
    pub(crate) certificate: CertificateDer<'static>,
    signer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Rogue {
    pub(crate) fn new(shape: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        shape(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { signer: rcgen::Issuer::from_ca_cert_der(&certificate, key).unwrap(), certificate }
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle::new([self.certificate.clone()]).unwrap()
    }

    /// A leaf as `shape` makes it, with its key in PKCS #8.
    pub(crate) fn sign(&self, shape: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        shape(&mut params);
        (params.signed_by(&key, &self.signer).unwrap().der().clone(), key.serialize_der())
    }

    pub(crate) fn named(&self, names: Vec<SanType>) -> CertificateDer<'static> {
        self.sign(|params| params.subject_alt_names = names).0
    }
}
