//! The authority's keys in the state folder, readable by its owner alone: `ca/root.pem`, `ca/issuer.pem`, and the
//! bootstrap bundle `trust-bundle.pem`.

use std::{path::Path, path::PathBuf, sync::Arc};

use weft_certs::{Issuer, Root, TrustBundle};

use super::{Keys, Lifetimes};
use crate::identity::files::{self, FileError};

/// The keys of one folder.
pub(in crate::identity) struct Folder(PathBuf);

/// A folder whose keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key or certificate in it is not good.
    #[error(transparent)]
    Authority(#[from] weft_certs::AuthorityError),
    /// The bundle is not good.
    #[error(transparent)]
    Bundle(#[from] weft_certs::BundleError),
}

impl Folder {
    pub(in crate::identity) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The keys; what is not there is made.
    pub(in crate::identity) fn open(&self, lifetimes: Lifetimes) -> Result<Keys, FolderError> {
        files::private_folder(&self.0.join("ca"))?;
        let root_path = self.0.join("ca/root.pem");
        let root = match files::text(&root_path)? {
            Some(text) => Root::from_pem(&text)?,
            None => {
                let root = Root::generate(lifetimes.root())?;
                files::put(&root_path, &root.to_pem(), 0o600)?;
                root
            }
        };
        let issuer = match files::text(&self.0.join("ca/issuer.pem"))? {
            Some(text) => Issuer::from_pem(&text)?,
            None => self.new_issuer(&root, lifetimes)?,
        };
        let bundle = TrustBundle::new([root.certificate().clone()])?;
        files::put(&self.0.join("trust-bundle.pem"), &bundle.to_pem(), 0o644)?;
        Ok(Keys { bundle, issuer: Arc::new(issuer), replaceable: true })
    }

    /// The root's key is read when it is needed, and not kept.
    pub(super) fn replace_issuer(&self, lifetimes: Lifetimes) -> Result<Keys, FolderError> {
        let path = self.0.join("ca/root.pem");
        let gone = || FileError { path: path.clone(), action: "read", source: std::io::ErrorKind::NotFound.into() };
        let root = Root::from_pem(&files::text(&path)?.ok_or_else(gone)?)?;
        let issuer = self.new_issuer(&root, lifetimes)?;
        let bundle = TrustBundle::new([root.certificate().clone()])?;
        Ok(Keys { bundle, issuer: Arc::new(issuer), replaceable: true })
    }

    fn new_issuer(&self, root: &Root, lifetimes: Lifetimes) -> Result<Issuer, FolderError> {
        let issuer = Issuer::generate(root, lifetimes.issuer())?;
        files::put(&self.0.join("ca/issuer.pem"), &issuer.to_pem(), 0o600)?;
        Ok(issuer)
    }
}
