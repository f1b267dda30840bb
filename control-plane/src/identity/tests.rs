use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use weft_api::pb::{self, certify_request::Proof};
use weft_certs::{CertificateRequest, KeyPair, Peer, SpiffeId};

use super::*;

fn users() -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", "users").unwrap()
}

fn open(folder: &TempDir) -> Authority {
    let identity = SpiffeId::control_plane("cluster.local", "weft").unwrap();
    let folder = folder.path().to_owned();
    Authority::open(AuthoritySettings { folder, identity, leaf_lifetime: Duration::from_secs(3600) }).unwrap()
}

fn stranger() -> Caller {
    Caller { address: "10.1.0.1:5000".parse().unwrap(), peer: None }
}

fn request(proof: Proof) -> pb::CertifyRequest {
    let name = SpiffeId::new("cluster.local", "bank", "vault").unwrap();
    let csr = CertificateRequest::new(&KeyPair::generate().unwrap(), &name).unwrap();
    pb::CertifyRequest { csr_der: csr.into_der(), proof: Some(proof) }
}

fn peer(issued: &Issued) -> Peer {
    let chain: Vec<_> = issued.chain.iter().map(|der| rustls_pki_types::CertificateDer::from(der.clone())).collect();
    Peer::of(&chain).unwrap()
}

#[test]
fn a_join_token_gets_one_certificate_for_its_own_identity() {
    let folder = TempDir::new().unwrap();
    let authority = open(&folder);
    let token = tokens::create(folder.path(), &users(), Duration::from_secs(60)).unwrap();
    let issued = authority.certify(&request(Proof::JoinToken(token.clone())), &stranger()).unwrap();
    assert_eq!(peer(&issued).identity, users(), "whatever name the request carries");
    let again = authority.certify(&request(Proof::JoinToken(token)), &stranger()).unwrap_err();
    assert!(matches!(again, CertifyError::Proof(ProofError::Token(tokens::TokenError::Unknown))), "{again:?}");
}

#[test]
fn a_request_that_cannot_be_signed_does_not_use_up_its_token() {
    let folder = TempDir::new().unwrap();
    let authority = open(&folder);
    let token = tokens::create(folder.path(), &users(), Duration::from_secs(60)).unwrap();
    let proof = Some(Proof::JoinToken(token.clone()));
    authority.certify(&pb::CertifyRequest { csr_der: vec![1], proof }, &stranger()).unwrap_err();
    authority.certify(&request(Proof::JoinToken(token)), &stranger()).unwrap();
}

#[test]
fn a_token_expires_and_is_nowhere_to_be_read() {
    let folder = TempDir::new().unwrap();
    let authority = open(&folder);
    let token = tokens::create(folder.path(), &users(), Duration::ZERO).unwrap();
    let tokens_folder = folder.path().join("tokens");
    assert_eq!(fs::metadata(&tokens_folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&tokens_folder).unwrap().flatten() {
        assert!(!fs::read_to_string(entry.path()).unwrap().contains(&token[10..]));
        assert!(!entry.file_name().to_string_lossy().contains(&token[10..]));
    }
    let error = authority.certify(&request(Proof::JoinToken(token)), &stranger()).unwrap_err();
    assert!(matches!(error, CertifyError::Proof(ProofError::Token(tokens::TokenError::Expired))), "{error:?}");
}

#[test]
fn a_renewal_is_proven_by_a_leaf_that_still_holds() {
    let folder = TempDir::new().unwrap();
    let authority = open(&folder);
    let renewal = || request(Proof::Renewal(pb::Renewal {}));
    assert!(authority.certify(&renewal(), &stranger()).is_err());
    let hour = Duration::from_secs(3600);
    let with = |not_after| Caller { peer: Some(Peer { identity: users(), not_after }), ..stranger() };
    let issued = authority.certify(&renewal(), &with(SystemTime::now() + hour)).unwrap();
    assert_eq!(peer(&issued).identity, users());
    assert!(authority.certify(&renewal(), &with(SystemTime::now() - hour)).is_err());
}

#[test]
fn the_authority_survives_a_restart_and_keeps_its_keys_to_itself() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (open(&folder), open(&folder));
    assert_eq!((first.issuer_id(), first.bundle().version()), (second.issuer_id(), second.bundle().version()));
    for (path, mode) in [("ca", 0o700), ("ca/root.pem", 0o600), ("ca/issuer.pem", 0o600), ("trust-bundle.pem", 0o644)] {
        assert_eq!(fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
    let bundle = fs::read_to_string(folder.path().join("trust-bundle.pem")).unwrap();
    assert!(!bundle.contains("PRIVATE"));
}

#[tokio::test]
async fn a_new_issuer_signs_under_the_same_root() {
    let folder = TempDir::new().unwrap();
    let authority = open(&folder);
    let (old, bundle) = (authority.issuer_id(), authority.bundle());
    let new = authority.rotate_issuer().await.unwrap();
    assert_ne!(old, new);
    assert_eq!((authority.issuer_id(), open(&folder).issuer_id()), (new.clone(), new));
    assert_eq!(authority.bundle().version(), bundle.version());
    authority.maintain().await.unwrap();
}
