//! Where the authority's keys are kept: files of a folder, or Secrets. Everything else about them is the authority's.

mod folder;
mod follow;
mod form;
mod rotation;
mod secrets;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use weft_certs::{Issuer, TrustBundle, Validity};

use super::{AuthorityError, Trust};
pub(super) use folder::Folder;
pub use folder::FolderError;
pub use follow::Follower;
pub use rotation::{Place, REQUESTED, Stage, Stored, StoredRoot};
pub use secrets::{SecretError, Secrets};

/// A root that Weft makes lives this long. It is replaced by `weft identity rotate`, and by nothing else.
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Whom the mesh trusts, and the key that signs for it.
#[derive(Clone)]
pub struct Keys {
    pub(super) bundle: TrustBundle,
    pub(super) issuer: Arc<Issuer>,
    /// Weft has made the issuer and has the root's key, so it may make the next one.
    pub(super) replaceable: bool,
}

/// From when and for how long new keys hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    pub(super) now: SystemTime,
    pub(super) issuer: Duration,
}

/// Where the keys are.
pub(super) enum Store {
    Folder(Folder),
    Secrets(Box<Secrets>),
}

impl Store {
    /// Makes a new issuer under the root and keeps it.
    pub(super) async fn replace_issuer(&self, lifetimes: Lifetimes) -> Result<Keys, AuthorityError> {
        match self {
            Self::Folder(folder) => Ok(folder.replace_issuer(lifetimes)?),
            Self::Secrets(secrets) => Ok(secrets.replace_issuer(lifetimes).await?),
        }
    }
}

impl Keys {
    pub(super) fn trust(&self) -> Trust {
        Trust { bundle: self.bundle.clone(), issuer: self.issuer.id().into() }
    }
}

impl Lifetimes {
    fn root(self) -> Validity {
        Validity::lasting(self.now, ROOT_LIFETIME)
    }

    fn issuer(self) -> Validity {
        Validity::lasting(self.now, self.issuer)
    }
}

/// Equal keys sign equal leaves: the issuer's certificates stand for its key, which belongs to the first of them.
impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.bundle == other.bundle
            && self.replaceable == other.replaceable
            && self.issuer.certificate_pem() == other.issuer.certificate_pem()
    }
}
