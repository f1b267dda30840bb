//! The certificate authority: it signs leaves with the issuer that its keys name, and is one's own first customer.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;
use weft_certs::{
    CertificateRequest, IssueError, Issuer, KeyPair, Leaf, SpiffeId, TrustBundle, Untrusted, Validity, control_client,
    control_server, renew_at,
};

use super::keys::{Folder, FolderError, Keys, Lifetimes, SecretError, Secrets, Store};

/// What the authority goes by.
#[derive(Clone, Debug)]
pub struct AuthoritySettings {
    /// Who the control plane is.
    pub identity: SpiffeId,
    /// How long workloads' leaves live.
    pub leaf_lifetime: Duration,
    /// How long new issuers live. One with a third of its life left is replaced: its leaves could soon not live theirs.
    pub issuer_lifetime: Duration,
}

/// Signs leaves.
pub struct Authority {
    settings: AuthoritySettings,
    store: Store,
    current: ArcSwap<Current>,
    trust: watch::Sender<Trust>,
    /// One rotation at a time.
    rotation: tokio::sync::Mutex<()>,
    /// One change of `current` at a time, from the reading to the taking: a new leaf must not bring old keys back.
    change: Mutex<()>,
}

/// Whom the mesh trusts, and who signs for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The roots.
    pub bundle: TrustBundle,
    /// The issuer: hex of the SHA-256 of its public key.
    pub issuer: Arc<str>,
}

struct Current {
    keys: Keys,
    own: Leaf,
    server: Arc<ServerConfig>,
}

/// An authority that cannot be had, or keys that it does not take.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The folder of its keys.
    #[error("the certificate authority in WEFT_STATE_DIR cannot be used")]
    Folder(#[from] FolderError),
    /// The Secrets of its keys.
    #[error(transparent)]
    Secrets(#[from] SecretError),
    /// The issuer's time is over.
    #[error("the issuer has expired: renew it, or delete it where Weft has the root's key and it is made anew")]
    IssuerExpired,
    /// Nobody who trusts the bundle would believe the issuer's leaves.
    #[error("the issuer's leaves do not hold under the trust anchor: it must be signed by it, and be an authority's")]
    NotUnderAnchor(#[source] Untrusted),
    /// The control plane's own key could not be made.
    #[error(transparent)]
    Key(#[from] weft_certs::KeyError),
    /// The control plane's own leaf could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The control plane's own leaf is not good.
    #[error(transparent)]
    Leaf(#[from] weft_certs::LeafError),
    /// TLS does not take the control plane's own leaf.
    #[error(transparent)]
    Tls(#[from] weft_certs::TlsError),
}

/// A certificate, and whom its holder believes.
#[derive(Debug)]
pub struct Issued {
    /// Whose it is.
    pub identity: SpiffeId,
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Whom the mesh trusts.
    pub bundle: TrustBundle,
    /// Who has signed: hex of the SHA-256 of the issuer's public key.
    pub issuer: String,
}

impl Authority {
    /// The authority of a state folder; on the first start it is made there.
    ///
    /// # Errors
    /// The folder cannot be used, or what it holds is not good.
    pub fn in_folder(settings: AuthoritySettings, folder: &Path) -> Result<Self, AuthorityError> {
        let folder = Folder::new(folder);
        let keys = folder.open(settings.lifetimes(SystemTime::now()))?;
        Self::new(settings, Store::Folder(folder), keys)
    }

    /// The authority of two Secrets; on the first start they are made.
    ///
    /// # Errors
    /// The Secrets cannot be used, or what they hold is not good.
    pub async fn in_secrets(settings: AuthoritySettings, secrets: Secrets) -> Result<Self, AuthorityError> {
        let keys = secrets.open(settings.lifetimes(SystemTime::now())).await?;
        Self::new(settings, Store::Secrets(Box::new(secrets)), keys)
    }

    fn new(settings: AuthoritySettings, store: Store, keys: Keys) -> Result<Self, AuthorityError> {
        let current = Current::new(&settings, keys, SystemTime::now())?;
        let trust = watch::Sender::new(current.keys.trust());
        let current = ArcSwap::from_pointee(current);
        Ok(Self { settings, store, current, trust, rotation: tokio::sync::Mutex::default(), change: Mutex::default() })
    }

    /// Whether this is who the control plane is.
    pub fn is_own(&self, identity: &SpiffeId) -> bool {
        self.settings.identity == *identity
    }

    /// How long a new issuer lives.
    pub fn issuer_lifetime(&self) -> Duration {
        self.settings.issuer_lifetime
    }

    /// Whom the mesh trusts.
    pub fn bundle(&self) -> TrustBundle {
        self.current.load().keys.bundle.clone()
    }

    /// Who signs now: hex of the SHA-256 of its public key.
    pub fn issuer_id(&self) -> String {
        self.current.load().keys.issuer.id().to_owned()
    }

    /// Whom the mesh trusts and who signs, now and from now on.
    pub fn trust(&self) -> watch::Receiver<Trust> {
        self.trust.subscribe()
    }

    /// When the control plane's own leaf is over.
    pub fn own_expiry(&self) -> SystemTime {
        self.current.load().own.not_after()
    }

    /// The keys of this moment.
    pub(super) fn keys(&self) -> Keys {
        self.current.load().keys.clone()
    }

    /// When the issuer is over.
    pub fn issuer_expiry(&self) -> SystemTime {
        self.current.load().keys.issuer.validity().not_after
    }

    /// When the first of the roots is over.
    pub fn root_expiry(&self) -> SystemTime {
        self.current.load().keys.bundle.not_after()
    }

    /// TLS of the control plane's own port, with the leaf of this moment.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.current.load().server.clone()
    }

    /// TLS to another replica, which must prove to be the control plane too.
    ///
    /// # Errors
    /// TLS does not take the bundle.
    pub fn client(&self) -> Result<Arc<ClientConfig>, AuthorityError> {
        self.client_to(&self.settings.identity)
    }

    /// TLS to a server that must prove to be `expected`; it is told that this is the control plane.
    ///
    /// # Errors
    /// TLS does not take the bundle.
    pub fn client_to(&self, expected: &SpiffeId) -> Result<Arc<ClientConfig>, AuthorityError> {
        let current = self.current.load();
        Ok(control_client(&current.keys.bundle, Some(&current.own), expected)?)
    }

    /// Signs a leaf for an identity that has been proven, whatever name the request carries.
    ///
    /// # Errors
    /// The request cannot be signed.
    pub fn issue(&self, csr_der: &[u8], identity: &SpiffeId) -> Result<Issued, IssueError> {
        let current = self.current.load();
        let validity = Validity::lasting(SystemTime::now(), self.settings.leaf_lifetime);
        let chain = current.keys.issuer.issue(csr_der, identity, validity)?;
        let chain = chain.into_iter().map(|certificate| certificate.to_vec()).collect();
        let (bundle, issuer) = (current.keys.bundle.clone(), current.keys.issuer.id().to_owned());
        Ok(Issued { identity: identity.clone(), chain, bundle, issuer })
    }

    /// Takes keys that somebody else has put in the store. Whether they differ from those of before.
    ///
    /// # Errors
    /// They are not good; those of before go on.
    pub fn adopt(&self, keys: Keys) -> Result<bool, AuthorityError> {
        let _one_at_a_time = self.change();
        if self.current.load().keys == keys {
            return Ok(false);
        }
        self.take(Current::new(&self.settings, keys, SystemTime::now())?);
        Ok(true)
    }

    /// Replaces the issuer by a new one under the same root. What the old one has signed stays good; from now on leaves
    /// are the new one's. Returns the new issuer's id.
    ///
    /// # Errors
    /// The store cannot be used, or has no root key; the old issuer then goes on.
    pub async fn rotate_issuer(&self) -> Result<String, AuthorityError> {
        let _one_at_a_time = self.rotation.lock().await;
        let keys = self.store.replace_issuer(self.settings.lifetimes(SystemTime::now())).await?;
        let id = keys.issuer.id().to_owned();
        self.adopt(keys)?;
        Ok(id)
    }

    /// When [`Authority::renew_own`] is due.
    pub fn own_renewal(&self, jitter: f64) -> SystemTime {
        let current = self.current.load();
        renew_at(SystemTime::now(), current.own.not_before(), current.own.not_after(), jitter)
    }

    /// Renews the control plane's own leaf.
    ///
    /// # Errors
    /// The issuer does not sign it any more; what was there goes on.
    pub fn renew_own(&self) -> Result<(), AuthorityError> {
        let _one_at_a_time = self.change();
        let keys = self.keys();
        self.take(Current::new(&self.settings, keys, SystemTime::now())?);
        Ok(())
    }

    /// When the issuer is to be replaced: once two thirds of its life are over. None: that is not Weft's to do.
    pub fn issuer_renewal(&self) -> Option<SystemTime> {
        let current = self.current.load();
        let validity = current.keys.replaceable.then(|| current.keys.issuer.validity())?;
        let life = validity.not_after.duration_since(validity.not_before).unwrap_or_default();
        Some(validity.not_before + life * 2 / 3)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, current: Current) {
        let trust = current.keys.trust();
        self.current.store(Arc::new(current));
        self.trust.send_if_modified(|known| {
            let differs = *known != trust;
            *known = trust;
            differs
        });
    }
}

impl AuthoritySettings {
    fn lifetimes(&self, now: SystemTime) -> Lifetimes {
        Lifetimes { now, issuer: self.issuer_lifetime }
    }
}

impl Current {
    fn new(settings: &AuthoritySettings, keys: Keys, now: SystemTime) -> Result<Self, AuthorityError> {
        if keys.issuer.validity().not_after <= now {
            return Err(AuthorityError::IssuerExpired);
        }
        let own = own_leaf(settings, &keys.issuer, now)?;
        own.verify(&keys.bundle, now).map_err(AuthorityError::NotUnderAnchor)?;
        let server = control_server(&own, &keys.bundle)?;
        Ok(Self { keys, own, server })
    }
}

fn own_leaf(settings: &AuthoritySettings, issuer: &Issuer, now: SystemTime) -> Result<Leaf, AuthorityError> {
    let key = KeyPair::generate()?;
    let request = CertificateRequest::new(&key, &settings.identity)?;
    let validity = Validity::lasting(now, settings.leaf_lifetime);
    let chain = issuer.issue(request.der(), &settings.identity, validity)?;
    Ok(Leaf::new(chain, key)?)
}
