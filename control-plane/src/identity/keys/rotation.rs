//! One root follows another, as the Secret of the root tells it: what is there says how far it has come, so any replica can
//! go on where another has stopped.
//!
//! `next.crt` and `next.key`: both roots are trusted, and nothing is signed by the new one yet. `previous.crt`: the new root
//! has taken its place, and the old one is trusted until no leaf under it is left. Pure: from a Secret to the next.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use weft_certs::{Root, TrustBundle};

use super::{
    SecretError, Trust,
    form::{
        self, ANCHOR, ANCHOR_CERTIFICATE, CERTIFICATE, ISSUER, KEY, MADE, NEXT_CERTIFICATE, NEXT_KEY,
        PREVIOUS_CERTIFICATE,
    },
};

/// Asks for a rotation: any text that has not been there before. `weft identity rotate` writes it.
pub const REQUESTED: &str = "weft.dev/rotate-requested";
/// The last one that was carried out.
const ROTATED: &str = "weft.dev/rotated";
/// When the one under way began, in seconds since the epoch.
const BEGAN: &str = "weft.dev/rotation-began";

/// The two Secrets, as they were last seen together. Secret: no `Debug`.
#[derive(Clone)]
pub struct Stored {
    pub(super) anchor: Secret,
    pub(super) issuer: Secret,
}

/// How far a rotation of the root has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There is one root, and no other is wanted.
    Settled,
    /// A new root is wanted.
    Requested,
    /// The new root is trusted beside the old one, since this moment.
    Trusting(SystemTime),
    /// The new root has taken its place; the issuer is still the old one's.
    Promoted,
    /// The issuer is the new root's; leaves are renewed.
    Renewing,
}

/// A root as the Secret holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoot {
    /// Where it stands in its life.
    pub place: Place,
    /// Hex of the SHA-256 of its public key.
    pub id: String,
    /// When it is over.
    pub not_after: SystemTime,
    /// Whether its key is there.
    pub has_key: bool,
}

/// Where a root stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It will sign issuers.
    Next,
    /// It signs issuers.
    Current,
    /// It has signed issuers.
    Previous,
}

impl Stored {
    /// How far the rotation has come.
    pub fn stage(&self) -> Stage {
        let has = |key| self.anchor.data.as_ref().is_some_and(|data| data.contains_key(key));
        match self.request() {
            // An operator's own: whoever has put it there goes on.
            None => Stage::Settled,
            Some(_) if has(NEXT_KEY) => Stage::Trusting(self.began()),
            Some(_) if !has(PREVIOUS_CERTIFICATE) => Stage::Requested,
            Some(_) if self.issuer_is_current() => Stage::Renewing,
            Some(_) => Stage::Promoted,
        }
    }

    /// The request that has not been carried out. None: all have been.
    pub fn request(&self) -> Option<&str> {
        let said = |key| self.anchor.metadata.annotations.as_ref()?.get(key);
        let request = said(REQUESTED)?;
        (said(ROTATED) != Some(request)).then_some(request)
    }

    /// The last request that has been carried out.
    pub fn done(&self) -> Option<&str> {
        Some(self.anchor.metadata.annotations.as_ref()?.get(ROTATED)?)
    }

    /// The roots, the one that will sign first.
    ///
    /// # Errors
    /// One of them is no certificate.
    pub fn roots(&self) -> Result<Vec<StoredRoot>, SecretError> {
        let places = [
            (Place::Next, NEXT_CERTIFICATE, Some(NEXT_KEY)),
            (Place::Current, CERTIFICATE, Some(KEY)),
            (Place::Previous, PREVIOUS_CERTIFICATE, None),
        ];
        let mut roots = Vec::new();
        for (place, certificate, key) in places {
            let Some(text) = form::text(ANCHOR, &self.anchor, certificate)? else { continue };
            let certificate = form::first_certificate(&text)?;
            let id = weft_certs::key_id(&certificate).ok_or(SecretError::NoAuthority)?;
            let not_after = TrustBundle::new([certificate]).map_err(SecretError::Bundle)?.not_after();
            let has_key = key.map(|key| form::text(ANCHOR, &self.anchor, key)).transpose()?.flatten().is_some();
            roots.push(StoredRoot { place, id, not_after, has_key });
        }
        Ok(roots)
    }

    /// Whom the mesh is to trust by this, and who is to sign for it.
    ///
    /// # Errors
    /// The Secrets hold no keys that can be used.
    pub fn trust(&self) -> Result<Trust, SecretError> {
        Ok(form::keys(&self.anchor, &self.issuer)?.trust())
    }

    /// Whether Weft can rotate the root: it needs the root's key, and must have made the issuer.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), SecretError> {
        form::root(&self.anchor)?;
        if !form::keys(&self.anchor, &self.issuer)?.replaceable {
            return Err(SecretError::NotMade);
        }
        Ok(())
    }

    fn began(&self) -> SystemTime {
        let text = self.anchor.metadata.annotations.as_ref().and_then(|all| all.get(BEGAN));
        let seconds = text.and_then(|text| text.parse().ok()).unwrap_or(0);
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
    }

    /// A Weft-made issuer says whose it is.
    fn issuer_is_current(&self) -> bool {
        let signer = form::text(ISSUER, &self.issuer, ANCHOR_CERTIFICATE);
        let root = form::text(ANCHOR, &self.anchor, CERTIFICATE);
        matches!((signer, root), (Ok(Some(signer)), Ok(Some(root))) if signer == root)
    }

    /// The new root beside the old one.
    pub(super) fn trusting(&self, root: &Root, now: SystemTime) -> Secret {
        let mut anchor = self.anchor.clone();
        put(&mut anchor, NEXT_CERTIFICATE, root.certificate_pem().into_bytes());
        put(&mut anchor, NEXT_KEY, root.key_pem().into_bytes());
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        annotate(&mut anchor, BEGAN, seconds.to_string());
        anchor
    }

    /// The new root in the place of the old one, which stays trusted. The old root's key is given up.
    pub(super) fn promoted(&self) -> Result<Secret, SecretError> {
        let mut anchor = self.anchor.clone();
        let taken = |anchor: &mut Secret, key| {
            let bytes = anchor.data.as_mut().and_then(|data| data.remove(key));
            bytes.map(|bytes| bytes.0).ok_or(SecretError::NoKey { secret: ANCHOR, key })
        };
        let old = taken(&mut anchor, CERTIFICATE)?;
        let (certificate, key) = (taken(&mut anchor, NEXT_CERTIFICATE)?, taken(&mut anchor, NEXT_KEY)?);
        put(&mut anchor, PREVIOUS_CERTIFICATE, old);
        put(&mut anchor, ANCHOR_CERTIFICATE, certificate.clone());
        put(&mut anchor, CERTIFICATE, certificate);
        put(&mut anchor, KEY, key);
        let id = form::root(&anchor)?.id();
        annotate(&mut anchor, MADE, id);
        Ok(anchor)
    }

    /// The new root alone.
    pub(super) fn settled(&self) -> Secret {
        let mut anchor = self.anchor.clone();
        anchor.data.as_mut().and_then(|data| data.remove(PREVIOUS_CERTIFICATE));
        let annotations = anchor.metadata.annotations.get_or_insert_default();
        annotations.remove(BEGAN);
        if let Some(request) = self.request() {
            annotations.insert(ROTATED.to_owned(), request.to_owned());
        }
        anchor
    }
}

fn put(anchor: &mut Secret, key: &str, bytes: Vec<u8>) {
    anchor.data.get_or_insert_default().insert(key.to_owned(), ByteString(bytes));
}

fn annotate(anchor: &mut Secret, key: &str, value: String) {
    anchor.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value);
}
