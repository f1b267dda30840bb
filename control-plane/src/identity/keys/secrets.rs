//! The authority's keys in two Secrets of the control plane's own namespace, so that all replicas have the same.
//!
//! Several replicas may start at once: whoever comes second finds the other's Secret and takes it.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use weft_certs::{Issuer, Root};

use super::{
    Keys, Lifetimes, Stage, Stored,
    form::{self, ANCHOR, ISSUER},
};

/// The Secrets of one namespace.
#[derive(Clone)]
pub struct Secrets(pub(super) Api<Secret>);

/// Secrets whose keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server did not do it.
    #[error("Secret {secret} cannot be {action}: check that the API server is there and the Role weft-control-plane")]
    Api {
        /// Which.
        secret: &'static str,
        /// What was tried.
        action: &'static str,
        /// Its word.
        source: Box<kube::Error>,
    },
    /// Somebody else has written it in the meantime.
    #[error("Secret {secret} has been changed by somebody else at the same time")]
    Changed {
        /// Which.
        secret: &'static str,
    },
    /// It is not there any more.
    #[error("Secret {secret} is gone: put it back; as long as the control plane runs, it goes on with what it had")]
    Gone {
        /// Which.
        secret: &'static str,
    },
    /// An issuer without its root: a new root would end all trust in what the old one has signed.
    #[error(
        "Secret weft-issuer is there and weft-trust-anchor is not: put it back from a copy; or delete weft-issuer too, \
         then Weft makes both anew and every meshed pod must be restarted"
    )]
    NoAnchor,
    /// The root's key is kept elsewhere.
    #[error(
        "Secret weft-trust-anchor has no tls.key, so Weft cannot sign an issuer: put one that the root has signed into \
         Secret weft-issuer"
    )]
    NoRootKey,
    /// The issuer is an operator's, who replaces it.
    #[error("the issuer in Secret weft-issuer was not made by Weft: renew it where it was made")]
    NotMade,
    /// A part is missing.
    #[error("Secret {secret} has no {key}")]
    NoKey {
        /// Which.
        secret: &'static str,
        /// What is missing.
        key: &'static str,
    },
    /// A part is no text.
    #[error("{key} of Secret {secret} is not PEM")]
    NotText {
        /// Which.
        secret: &'static str,
        /// The part.
        key: &'static str,
    },
    /// The trust anchor is no certificate.
    #[error("a root in Secret weft-trust-anchor is no certificate in PEM")]
    NoCertificate(#[source] rustls_pki_types::pem::Error),
    /// A certificate or key is not good.
    #[error("Secret {secret} holds no authority that can be used")]
    Authority {
        /// Which.
        secret: &'static str,
        /// What is wrong.
        source: weft_certs::AuthorityError,
    },
    /// A root's key cannot be read.
    #[error("a root in Secret weft-trust-anchor is no authority's certificate")]
    NoAuthority,
    /// No keys could be made.
    #[error("no root or issuer could be made")]
    Make(#[source] weft_certs::AuthorityError),
    /// The roots are not good.
    #[error("the roots in Secret weft-trust-anchor cannot be used")]
    Bundle(#[source] weft_certs::BundleError),
}

impl SecretError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Api { .. } | Self::Changed { .. } | Self::Gone { .. })
    }
}

impl Secrets {
    /// The Secrets of the control plane's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The keys; what is not there is made, but never a root for an issuer that has lost its own.
    pub(in crate::identity) async fn open(&self, lifetimes: Lifetimes) -> Result<Keys, SecretError> {
        let (anchor, issuer) = (self.find(ANCHOR).await?, self.find(ISSUER).await?);
        let anchor = match (anchor, &issuer) {
            (Some(anchor), _) => anchor,
            (None, None) => {
                let root = Root::generate(lifetimes.root()).map_err(SecretError::Make)?;
                self.create(ANCHOR, &form::anchor_secret(&root)).await?
            }
            // Another replica may have made both since the first look.
            (None, Some(_)) => self.find(ANCHOR).await?.ok_or(SecretError::NoAnchor)?,
        };
        let issuer = match issuer {
            Some(issuer) => issuer,
            None => self.create(ISSUER, &new_issuer(&anchor, lifetimes)?).await?,
        };
        form::keys(&anchor, &issuer)
    }

    /// Both Secrets as they are now.
    pub(crate) async fn read(&self) -> Result<Stored, SecretError> {
        let there = async |secret| self.find(secret).await?.ok_or(SecretError::Gone { secret });
        Ok(Stored { anchor: there(ANCHOR).await?, issuer: there(ISSUER).await? })
    }

    /// Puts a new issuer in the place of one that Weft has made.
    pub(super) async fn replace_issuer(&self, lifetimes: Lifetimes) -> Result<Keys, SecretError> {
        let stored = self.read().await?;
        let issuer = self.replace(ISSUER, &next_issuer(&stored, lifetimes)?).await?;
        form::keys(&stored.anchor, &issuer)
    }

    /// Takes a step of a rotation of the root; see [`Stored::stage`]. `issuer`: how long the new root's issuer lives.
    ///
    /// # Errors
    /// It cannot be taken, or somebody else has changed the Secret since it was seen.
    pub async fn advance(&self, stored: &Stored, now: SystemTime, issuer: Duration) -> Result<(), SecretError> {
        let lifetimes = Lifetimes { now, issuer };
        let (secret, next) = match stored.stage() {
            Stage::Settled => return Ok(()),
            Stage::Requested => {
                stored.check()?;
                let root = Root::generate(lifetimes.root()).map_err(SecretError::Make)?;
                (ANCHOR, stored.trusting(&root, now))
            }
            Stage::Trusting(_) => (ANCHOR, stored.promoted()?),
            Stage::Promoted => (ISSUER, next_issuer(stored, lifetimes)?),
            Stage::Renewing => (ANCHOR, stored.settled()),
        };
        self.replace(secret, &next).await.map(drop)
    }

    /// Writes over what has been seen, and nothing later: the content carries that version.
    async fn replace(&self, secret: &'static str, content: &Secret) -> Result<Secret, SecretError> {
        let written = self.0.replace(secret, &PostParams::default(), content).await;
        written.map_err(|source| failed(secret, "written", source))
    }

    async fn find(&self, secret: &'static str) -> Result<Option<Secret>, SecretError> {
        self.0.get_opt(secret).await.map_err(|source| failed(secret, "read", source))
    }

    /// Creates a Secret, or reads the one that another replica has created first.
    async fn create(&self, secret: &'static str, content: &Secret) -> Result<Secret, SecretError> {
        match self.0.create(&PostParams::default(), content).await {
            Ok(created) => Ok(created),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.find(secret).await?.ok_or(SecretError::Gone { secret })
            }
            Err(source) => Err(failed(secret, "created", source)),
        }
    }
}

fn new_issuer(anchor: &Secret, lifetimes: Lifetimes) -> Result<Secret, SecretError> {
    let root = form::root(anchor)?;
    let issuer = Issuer::generate(&root, lifetimes.issuer()).map_err(SecretError::Make)?;
    Ok(form::issuer_secret(&issuer, &root))
}

/// An issuer in the place of one that Weft has made.
fn next_issuer(stored: &Stored, lifetimes: Lifetimes) -> Result<Secret, SecretError> {
    let mut new = new_issuer(&stored.anchor, lifetimes)?;
    if !form::keys(&stored.anchor, &stored.issuer)?.replaceable {
        return Err(SecretError::NotMade);
    }
    new.metadata.resource_version.clone_from(&stored.issuer.metadata.resource_version);
    Ok(new)
}

fn failed(secret: &'static str, action: &'static str, source: kube::Error) -> SecretError {
    match source {
        kube::Error::Api(status) if status.is_conflict() => SecretError::Changed { secret },
        source => SecretError::Api { secret, action, source: Box::new(source) },
    }
}
