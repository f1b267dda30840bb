//! The form of the two Secrets: what cert-manager writes (`tls.crt`, `tls.key`, `ca.crt`), and two keys more for the time
//! in which one root follows another (`next.crt` and `next.key`, then `previous.crt`).
//!
//! Pure: from a Secret to keys and back. Reading and writing Secrets is `secrets`'.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use weft_certs::{Issuer, Root, TrustBundle};

use super::{Keys, SecretError};

/// The Secret of the root.
pub(super) const ANCHOR: &str = "weft-trust-anchor";
/// The Secret of the issuer.
pub(super) const ISSUER: &str = "weft-issuer";

pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
pub(super) const ANCHOR_CERTIFICATE: &str = "ca.crt";
pub(super) const NEXT_CERTIFICATE: &str = "next.crt";
pub(super) const NEXT_KEY: &str = "next.key";
pub(super) const PREVIOUS_CERTIFICATE: &str = "previous.crt";

/// Says that Weft has made what is in the Secret: the id of the key. Another key in it is an operator's, and is left alone.
pub(super) const MADE: &str = "weft.dev/made-key";

/// Whom the mesh trusts, and the key that signs for it.
pub(super) fn keys(anchor: &Secret, issuer: &Secret) -> Result<Keys, SecretError> {
    let text = required(ISSUER, issuer, CERTIFICATE)? + &required(ISSUER, issuer, KEY)?;
    let key = Issuer::from_pem(&text).map_err(|source| SecretError::Authority { secret: ISSUER, source })?;
    let replaceable = is_made(issuer, &key) && root(anchor).is_ok();
    Ok(Keys { bundle: bundle(anchor)?, issuer: Arc::new(key), replaceable })
}

/// The root of this moment, and those that come before and after it. Of each Secret key the first certificate counts:
/// what cert-manager writes behind it, and in `ca.crt`, may be a company's root, which has not been trusted by that.
fn bundle(anchor: &Secret) -> Result<TrustBundle, SecretError> {
    let mut roots = vec![first_certificate(&required(ANCHOR, anchor, CERTIFICATE)?)?];
    for key in [NEXT_CERTIFICATE, PREVIOUS_CERTIFICATE] {
        if let Some(text) = text(ANCHOR, anchor, key)? {
            roots.push(first_certificate(&text)?);
        }
    }
    TrustBundle::new(roots).map_err(SecretError::Bundle)
}

/// The root with its key.
pub(super) fn root(anchor: &Secret) -> Result<Root, SecretError> {
    let key = text(ANCHOR, anchor, KEY)?.ok_or(SecretError::NoRootKey)?;
    let text = required(ANCHOR, anchor, CERTIFICATE)? + &key;
    Root::from_pem(&text).map_err(|source| SecretError::Authority { secret: ANCHOR, source })
}

/// The Secret of a root that Weft has made.
pub(super) fn anchor_secret(root: &Root) -> Secret {
    let certificate = root.certificate_pem();
    secret(
        ANCHOR,
        &root.id(),
        [(CERTIFICATE, certificate.clone()), (KEY, root.key_pem()), (ANCHOR_CERTIFICATE, certificate)],
    )
}

/// The Secret of an issuer that Weft has made under `root`.
pub(super) fn issuer_secret(issuer: &Issuer, root: &Root) -> Secret {
    let data = [
        (CERTIFICATE, issuer.certificate_pem()),
        (KEY, issuer.key_pem()),
        (ANCHOR_CERTIFICATE, root.certificate_pem()),
    ];
    secret(ISSUER, issuer.id(), data)
}

/// Whether Weft has made the issuer in the Secret.
fn is_made(secret: &Secret, issuer: &Issuer) -> bool {
    let made = secret.metadata.annotations.as_ref().and_then(|all| all.get(MADE));
    made.is_some_and(|id| id == issuer.id())
}

fn secret<const N: usize>(name: &str, id: &str, data: [(&str, String); N]) -> Secret {
    let labels = [("app.kubernetes.io/part-of", "weft"), ("app.kubernetes.io/managed-by", "weft-control-plane")];
    let bytes = |(key, text): (&str, String)| (key.to_owned(), ByteString(text.into_bytes()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(strings(labels)),
            annotations: Some(strings([(MADE, id)])),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data.into_iter().map(bytes).collect()),
        ..Secret::default()
    }
}

fn strings<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn required(secret: &'static str, from: &Secret, key: &'static str) -> Result<String, SecretError> {
    text(secret, from, key)?.ok_or(SecretError::NoKey { secret, key })
}

/// The text under a key, ended by a line end. None: there is none, or it is empty, as the type kubernetes.io/tls asks for
/// a key that one does not want to give.
pub(super) fn text(secret: &'static str, from: &Secret, key: &'static str) -> Result<Option<String>, SecretError> {
    let Some(bytes) = from.data.as_ref().and_then(|data| data.get(key)) else { return Ok(None) };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| SecretError::NotText { secret, key })?.trim();
    Ok((!text.is_empty()).then(|| format!("{text}\n")))
}

pub(super) fn first_certificate(text: &str) -> Result<CertificateDer<'static>, SecretError> {
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(SecretError::NoCertificate)
}
