//! What the Secret holds, and what is to be done about it. Pure: the clock comes in.
//!
//! The authority's key is kept beside the leaf's: whoever reads the one reads the other, and so the leaf is renewed
//! without a word to the API server. Only a new authority needs one, and then the word comes first: the bundle has both
//! authorities for a while before the new one signs.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use k8s_openapi::ByteString;
use weft_certs::{Serving, ServingAuthority, ServingError, Validity, without_expired};

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// An authority with less than this left gets a successor.
const AUTHORITY_RESERVE: Duration = Duration::from_secs(365 * 86_400);
const LEAF_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
/// A leaf is renewed at two thirds of its life: a month is left to notice that it was not.
const LEAF_RENEWAL: Duration = Duration::from_secs(60 * 86_400);
/// How long a new authority is in the bundle before it signs: far longer than an API server takes to notice.
const AUTHORITY_REST: Duration = DAY;

pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
pub(super) const BUNDLE: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";

/// The Secret's content.
pub(super) type Content = BTreeMap<String, ByteString>;

/// What is served, and what the API server is told to believe.
pub(super) struct Held {
    pub(super) serving: Serving,
    /// One authority or, for a while, two; the newest is the last.
    pub(super) bundle: String,
    authority: ServingAuthority,
}

/// What the Secret should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is good.
    Nothing,
    /// A new leaf.
    Leaf,
    /// A new authority, which does not sign yet.
    Authority,
}

impl Held {
    /// # Errors
    /// A part is missing or broken.
    pub(super) fn read(content: &Content) -> Result<Self, ServingError> {
        let text = |name| content.get(name).map_or("", |bytes| std::str::from_utf8(&bytes.0).unwrap_or_default());
        let serving = Serving::from_pem(text(CERTIFICATE), text(KEY))?;
        let bundle = text(BUNDLE).to_owned();
        let newest = bundle.rfind("-----BEGIN").map_or("", |at| &bundle[at..]);
        let authority = ServingAuthority::from_pem(&format!("{newest}\n{}", text(AUTHORITY_KEY)))?;
        Ok(Self { serving, bundle, authority })
    }

    pub(super) fn due(&self, now: SystemTime) -> Due {
        let left = self.authority.validity().not_after.duration_since(now).unwrap_or_default();
        if left < AUTHORITY_RESERVE {
            return Due::Authority;
        }
        if self.authority.has_signed(&self.serving, now) {
            return if self.serving.age(now) >= LEAF_RENEWAL { Due::Leaf } else { Due::Nothing };
        }
        let rested = now.duration_since(self.authority.validity().not_before).unwrap_or_default() >= AUTHORITY_REST;
        // A leaf that is over is no reason to wait.
        if rested || self.serving.validity().not_after <= now { Due::Leaf } else { Due::Nothing }
    }

    /// The content with what is due. None: nothing is.
    ///
    /// # Errors
    /// It could not be made.
    pub(super) fn renewed(
        &self,
        content: &Content,
        names: &[String],
        now: SystemTime,
    ) -> Result<Option<Content>, ServingError> {
        let mut content = content.clone();
        let mut bundle = without_expired(&self.bundle, now)?;
        match self.due(now) {
            Due::Nothing => return Ok(None),
            Due::Leaf => put_leaf(&mut content, &self.authority, names, now)?,
            Due::Authority => {
                let authority = ServingAuthority::generate(Validity::lasting(now, AUTHORITY_LIFETIME))?;
                bundle += &authority.certificate_pem();
                put(&mut content, AUTHORITY_KEY, authority.key_pem());
            }
        }
        put(&mut content, BUNDLE, bundle);
        Ok(Some(content))
    }
}

/// A new authority and a leaf that it has signed.
///
/// # Errors
/// They could not be made.
pub(super) fn fresh(names: &[String], now: SystemTime) -> Result<Content, ServingError> {
    let authority = ServingAuthority::generate(Validity::lasting(now, AUTHORITY_LIFETIME))?;
    let mut content = Content::new();
    put_leaf(&mut content, &authority, names, now)?;
    put(&mut content, BUNDLE, authority.certificate_pem());
    put(&mut content, AUTHORITY_KEY, authority.key_pem());
    Ok(content)
}

fn put_leaf(
    content: &mut Content,
    authority: &ServingAuthority,
    names: &[String],
    now: SystemTime,
) -> Result<(), ServingError> {
    let leaf = authority.issue(names, Validity::lasting(now, LEAF_LIFETIME))?;
    put(content, CERTIFICATE, leaf.certificate_pem);
    put(content, KEY, leaf.key_pem);
    Ok(())
}

fn put(content: &mut Content, name: &str, text: String) {
    content.insert(name.to_owned(), ByteString(text.into_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["weft-control-plane.weft.svc".to_owned()]
    }

    fn fresh_at(now: SystemTime) -> Content {
        fresh(&names(), now).unwrap()
    }

    fn at(content: &Content, now: SystemTime) -> (Held, Option<Content>) {
        let held = Held::read(content).unwrap();
        let renewed = held.renewed(content, &names(), now).unwrap();
        (held, renewed)
    }

    #[test]
    fn a_leaf_is_renewed_under_the_same_authority_before_it_ends() {
        let start = SystemTime::now();
        let content = fresh_at(start);
        assert!(at(&content, start + 59 * DAY).1.is_none());
        let (old, renewed) = at(&content, start + 61 * DAY);
        let new = Held::read(&renewed.unwrap()).unwrap();
        assert_eq!(new.bundle, old.bundle);
        assert!(new.serving.validity().not_after > old.serving.validity().not_after);
    }

    #[test]
    fn a_new_authority_is_believed_before_it_signs() {
        let end = SystemTime::now() + AUTHORITY_LIFETIME - AUTHORITY_RESERVE;
        let first = fresh_at(SystemTime::now());
        // The last leaf of the old authority.
        let first = at(&first, end - 30 * DAY).1.unwrap();
        let overlap = at(&first, end + DAY).1.unwrap();
        assert_eq!(overlap[CERTIFICATE], first[CERTIFICATE]);
        let held = Held::read(&overlap).unwrap();
        assert!(
            held.bundle.starts_with(&Held::read(&first).unwrap().bundle) && held.bundle.matches("BEGIN").count() == 2
        );
        assert_eq!(held.due(end + DAY + AUTHORITY_REST / 2), Due::Nothing);
        let after = at(&overlap, end + DAY + AUTHORITY_REST).1.unwrap();
        assert_ne!(after[CERTIFICATE], overlap[CERTIFICATE]);
        assert_eq!(Held::read(&after).unwrap().due(end + 2 * DAY), Due::Nothing);
    }

    #[test]
    fn an_authority_that_is_over_leaves_the_bundle() {
        let start = SystemTime::now();
        let content = at(&fresh_at(start), start + AUTHORITY_LIFETIME - AUTHORITY_RESERVE + DAY).1.unwrap();
        let content = at(&content, start + AUTHORITY_LIFETIME + DAY).1.unwrap();
        assert_eq!(Held::read(&content).unwrap().bundle.matches("BEGIN").count(), 1);
    }

    #[test]
    fn a_secret_that_lacks_a_part_is_not_taken() {
        for part in [CERTIFICATE, KEY, BUNDLE, AUTHORITY_KEY] {
            let mut content = fresh_at(SystemTime::now());
            content.remove(part);
            assert!(Held::read(&content).is_err(), "{part}");
        }
    }
}
