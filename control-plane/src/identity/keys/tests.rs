use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use weft_certs::Root;

use super::*;
use crate::fixture::api_server::ApiServer;

const KIND: &str = "/api/v1/secrets";
const LIFETIME: Duration = Duration::from_secs(86_400);

fn lifetimes() -> Lifetimes {
    Lifetimes { now: SystemTime::now(), issuer: LIFETIME }
}

fn secrets(server: &ApiServer) -> Secrets {
    Secrets::new(server.client(), "weft")
}

/// Both Secrets, as a watch would bring them.
async fn stored(server: &ApiServer) -> Stored {
    secrets(server).read().await.unwrap()
}

/// Puts a Secret there as an operator does.
fn put(server: &ApiServer, name: &str, data: &[(&str, &str)]) {
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, text)| ((*key).to_owned(), json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))))
        .collect();
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "weft"}, "data": data});
    server.apply(&secret.to_string());
}

fn request(server: &ApiServer, request: &str) {
    let mut anchor = server.object(KIND, "weft", form::ANCHOR).unwrap();
    anchor["metadata"]["namespace"] = "weft".into();
    anchor["apiVersion"] = "v1".into();
    anchor["kind"] = "Secret".into();
    anchor["metadata"]["annotations"][REQUESTED] = request.into();
    server.apply(&anchor.to_string());
}

#[tokio::test]
async fn the_first_start_makes_both_secrets_and_every_later_one_takes_them() {
    let server = ApiServer::bare();
    let first = secrets(&server).open(lifetimes()).await.unwrap();
    let second = secrets(&server).open(lifetimes()).await.unwrap();
    assert!(first == second && first.replaceable);
    let issuer = server.object(KIND, "weft", form::ISSUER).unwrap();
    assert_eq!(issuer["type"], "kubernetes.io/tls");
    let keys: Vec<_> = issuer["data"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"], "the form that cert-manager writes");
}

#[tokio::test]
async fn replicas_that_start_at_once_have_the_same_keys() {
    let server = ApiServer::bare();
    let (one, other) = (secrets(&server), secrets(&server));
    let (one, other) = tokio::join!(one.open(lifetimes()), other.open(lifetimes()));
    assert!(one.unwrap() == other.unwrap());
}

#[tokio::test]
async fn no_root_is_made_for_an_issuer_that_has_lost_its_own() {
    let server = ApiServer::bare();
    secrets(&server).open(lifetimes()).await.unwrap();
    server.delete(KIND, "weft", form::ANCHOR);
    let error = secrets(&server).open(lifetimes()).await.err().unwrap();
    assert!(matches!(error, SecretError::NoAnchor), "{error:?}");
}

#[tokio::test]
async fn a_root_without_its_key_needs_an_issuer_from_the_operator_who_then_renews_it() {
    let server = ApiServer::bare();
    let root = Root::generate(lifetimes().root()).unwrap();
    let certificate = root.certificate_pem();
    put(&server, form::ANCHOR, &[("tls.crt", &certificate), ("tls.key", ""), ("ca.crt", &certificate)]);
    let error = secrets(&server).open(lifetimes()).await.err().unwrap();
    assert!(matches!(error, SecretError::NoRootKey), "{error:?}");

    let issuer = weft_certs::Issuer::generate(&root, lifetimes().issuer()).unwrap();
    put(&server, form::ISSUER, &[("tls.crt", &issuer.certificate_pem()), ("tls.key", &issuer.key_pem())]);
    let keys = secrets(&server).open(lifetimes()).await.unwrap();
    assert_eq!((keys.issuer.id(), keys.replaceable), (issuer.id(), false));
    let error = secrets(&server).replace_issuer(lifetimes()).await.err().unwrap();
    assert!(matches!(error, SecretError::NoRootKey), "{error:?}");
}

#[tokio::test]
async fn a_new_issuer_takes_the_place_of_one_that_weft_has_made() {
    let server = ApiServer::bare();
    let old = secrets(&server).open(lifetimes()).await.unwrap();
    let new = secrets(&server).replace_issuer(lifetimes()).await.unwrap();
    assert!(old.issuer.id() != new.issuer.id() && old.bundle == new.bundle);
    assert!(secrets(&server).open(lifetimes()).await.unwrap() == new);
}

#[tokio::test]
async fn a_rotation_goes_from_one_root_over_two_to_the_other_and_can_go_on_anywhere() {
    let server = ApiServer::bare();
    let old = secrets(&server).open(lifetimes()).await.unwrap();
    assert_eq!(stored(&server).await.stage(), Stage::Settled);
    request(&server, "one");
    assert_eq!(stored(&server).await.stage(), Stage::Requested);

    let advance = async || secrets(&server).advance(&stored(&server).await, SystemTime::now(), LIFETIME).await.unwrap();
    advance().await;
    let trusting = secrets(&server).open(lifetimes()).await.unwrap();
    assert!(matches!(stored(&server).await.stage(), Stage::Trusting(_)));
    assert_eq!((trusting.bundle.anchors().len(), trusting.issuer.id()), (2, old.issuer.id()));

    advance().await;
    let promoted = secrets(&server).open(lifetimes()).await.unwrap();
    assert_eq!(stored(&server).await.stage(), Stage::Promoted);
    assert_eq!((promoted.bundle, promoted.issuer.id()), (trusting.bundle, old.issuer.id()));

    advance().await;
    let renewed = secrets(&server).open(lifetimes()).await.unwrap();
    assert_eq!(stored(&server).await.stage(), Stage::Renewing);

    advance().await;
    let new = secrets(&server).open(lifetimes()).await.unwrap();
    assert_eq!((stored(&server).await.stage(), stored(&server).await.done()), (Stage::Settled, Some("one")));
    assert_eq!((new.bundle.anchors().len(), new.issuer.id()), (1, renewed.issuer.id()));
    assert!(new.replaceable && new.bundle != old.bundle);
}

#[tokio::test]
async fn a_step_that_was_decided_on_what_is_no_longer_there_is_not_taken() {
    let server = ApiServer::bare();
    secrets(&server).open(lifetimes()).await.unwrap();
    request(&server, "one");
    let seen = stored(&server).await;
    request(&server, "two");
    let error = secrets(&server).advance(&seen, SystemTime::now(), LIFETIME).await.unwrap_err();
    assert!(matches!(error, SecretError::Changed { .. }) && error.is_transient(), "{error:?}");
    assert_eq!(stored(&server).await.stage(), Stage::Requested);
}

#[tokio::test]
async fn an_operators_issuer_keeps_the_root_from_being_rotated() {
    let server = ApiServer::bare();
    secrets(&server).open(lifetimes()).await.unwrap();
    let root = form::root(&stored(&server).await.anchor).unwrap();
    let issuer = weft_certs::Issuer::generate(&root, lifetimes().issuer()).unwrap();
    put(&server, form::ISSUER, &[("tls.crt", &issuer.certificate_pem()), ("tls.key", &issuer.key_pem())]);
    request(&server, "one");
    let error = secrets(&server).advance(&stored(&server).await, SystemTime::now(), LIFETIME).await.unwrap_err();
    assert!(matches!(error, SecretError::NotMade) && !error.is_transient(), "{error:?}");
}
