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
    let (leaf_lifetime, issuer_lifetime) = (Duration::from_secs(3600), Duration::from_secs(360_000));
    Authority::in_folder(AuthoritySettings { identity, leaf_lifetime, issuer_lifetime }, folder.path()).unwrap()
}

/// Asks as Certify does.
async fn certify(folder: &TempDir, request: &pb::CertifyRequest, caller: &Caller) -> Result<Issued, ProofError> {
    let proven = Proofs::JoinTokens(folder.path().to_owned()).check(request, caller).await?;
    let issued = open(folder).issue(&request.csr_der, &proven.identity).unwrap();
    proven.redeem()?;
    Ok(issued)
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

#[tokio::test]
async fn a_join_token_gets_one_certificate_for_its_own_identity() {
    let folder = TempDir::new().unwrap();
    let token = tokens::create(folder.path(), &users(), Duration::from_secs(60)).unwrap();
    let issued = certify(&folder, &request(Proof::JoinToken(token.clone())), &stranger()).await.unwrap();
    assert_eq!(peer(&issued).identity, users(), "whatever name the request carries");
    let again = certify(&folder, &request(Proof::JoinToken(token)), &stranger()).await.unwrap_err();
    assert!(matches!(again, ProofError::Token(tokens::TokenError::Unknown)), "{again:?}");
}

#[tokio::test]
async fn a_join_token_is_good_until_it_is_redeemed() {
    let folder = TempDir::new().unwrap();
    let token = tokens::create(folder.path(), &users(), Duration::from_secs(60)).unwrap();
    let request = request(Proof::JoinToken(token));
    let proofs = Proofs::JoinTokens(folder.path().to_owned());
    let proven =
        [proofs.check(&request, &stranger()).await.unwrap(), proofs.check(&request, &stranger()).await.unwrap()];
    let [first, second] = proven.map(Proven::redeem);
    assert!(first.is_ok() && second.is_err());
}

#[tokio::test]
async fn a_token_expires_and_is_nowhere_to_be_read() {
    let folder = TempDir::new().unwrap();
    let token = tokens::create(folder.path(), &users(), Duration::ZERO).unwrap();
    let tokens_folder = folder.path().join("tokens");
    assert_eq!(fs::metadata(&tokens_folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&tokens_folder).unwrap().flatten() {
        assert!(!fs::read_to_string(entry.path()).unwrap().contains(&token[10..]));
        assert!(!entry.file_name().to_string_lossy().contains(&token[10..]));
    }
    let error = certify(&folder, &request(Proof::JoinToken(token)), &stranger()).await.unwrap_err();
    assert!(matches!(error, ProofError::Token(tokens::TokenError::Expired)), "{error:?}");
}

#[tokio::test]
async fn a_renewal_is_proven_by_a_leaf_that_still_holds() {
    let folder = TempDir::new().unwrap();
    let renewal = request(Proof::Renewal(pb::Renewal {}));
    assert!(certify(&folder, &renewal, &stranger()).await.is_err());
    let hour = Duration::from_secs(3600);
    let with = |not_after| Caller { peer: Some(Peer { identity: users(), not_after }), ..stranger() };
    let issued = certify(&folder, &renewal, &with(SystemTime::now() + hour)).await.unwrap();
    assert_eq!(peer(&issued).identity, users());
    assert!(certify(&folder, &renewal, &with(SystemTime::now() - hour)).await.is_err());
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
    authority.renew_own().unwrap();
}

#[test]
fn an_issuer_that_is_not_under_the_anchor_is_refused_and_the_old_one_goes_on() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (authority, foreign) = (open(&folder), open(&other));
    let mut keys = foreign.keys();
    keys.bundle = authority.bundle();
    let error = authority.adopt(keys).unwrap_err();
    assert!(matches!(error, AuthorityError::NotUnderAnchor(_)), "{error:?}");
    assert_ne!(authority.issuer_id(), foreign.issuer_id());
    authority.issue(&request(Proof::Renewal(pb::Renewal {})).csr_der, &users()).unwrap();
}

#[test]
fn a_renewal_of_the_own_leaf_brings_no_old_keys_back() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (authority, other) = (open(&folder), open(&other).keys());
    for keys in [other, authority.keys()].iter().cycle().take(100) {
        std::thread::scope(|scope| {
            scope.spawn(|| authority.renew_own().unwrap());
            authority.adopt(keys.clone()).unwrap();
        });
        assert_eq!(authority.issuer_id(), keys.issuer.id());
    }
}

#[test]
fn keys_that_are_taken_over_are_told_of_once() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (authority, keys) = (open(&folder), open(&other).keys());
    let mut trust = authority.trust();
    assert!(authority.adopt(keys.clone()).unwrap() && trust.has_changed().unwrap());
    assert_eq!(*trust.borrow_and_update(), Trust { bundle: keys.bundle.clone(), issuer: keys.issuer.id().into() });
    assert!(!authority.adopt(keys).unwrap() && !trust.has_changed().unwrap());
}
