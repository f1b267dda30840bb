//! The certificate authority: a root, an issuer signed by it, and the control plane's own leaf.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::Mutex;
use weft_api::pb;
use weft_certs::{
    CertificateRequest, Issuer, KeyPair, Leaf, Root, SpiffeId, TrustBundle, Validity, control_server, renew_at,
};

use super::{
    caller::{Caller, ProofError, Proven},
    files::{self, FileError},
};

const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
const ISSUER_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// An issuer with less than this left is replaced: its leaves could not live their time.
const ISSUER_RESERVE: Duration = Duration::from_secs(30 * 86_400);

/// What the authority goes by.
#[derive(Clone, Debug)]
pub struct AuthoritySettings {
    /// The state folder. Keys are below it in `ca/`, the bootstrap bundle is `trust-bundle.pem` in it.
    pub folder: PathBuf,
    /// Who the control plane is.
    pub identity: SpiffeId,
    /// How long workloads' leaves live.
    pub leaf_lifetime: Duration,
}

/// Signs leaves, and is one's own first customer.
pub struct Authority {
    settings: AuthoritySettings,
    current: ArcSwap<Current>,
    /// One rotation at a time.
    rotation: Mutex<()>,
}

struct Current {
    issuer: Issuer,
    bundle: TrustBundle,
    own: Leaf,
    server: Arc<ServerConfig>,
}

/// An authority that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Its folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key or certificate in the folder is not good.
    #[error(transparent)]
    Authority(#[from] weft_certs::AuthorityError),
    /// The bundle is not good.
    #[error(transparent)]
    Bundle(#[from] weft_certs::BundleError),
    /// The control plane's own key could not be made.
    #[error(transparent)]
    Key(#[from] weft_certs::KeyError),
    /// The control plane's own leaf could not be issued.
    #[error(transparent)]
    Issue(#[from] weft_certs::IssueError),
    /// The control plane's own leaf is not good.
    #[error(transparent)]
    Leaf(#[from] weft_certs::LeafError),
    /// TLS does not take the control plane's own leaf.
    #[error(transparent)]
    Tls(#[from] weft_certs::TlsError),
}

/// A request that gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// Its proof proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It is no request that can be signed.
    #[error(transparent)]
    Request(#[from] weft_certs::IssueError),
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
}

impl Authority {
    /// The authority of a state folder; on the first start it is made there.
    ///
    /// # Errors
    /// The folder cannot be used, or what it holds is not good.
    pub fn open(settings: AuthoritySettings) -> Result<Self, AuthorityError> {
        let now = SystemTime::now();
        files::private_folder(&settings.folder.join("ca"))?;
        let root_path = settings.folder.join("ca/root.pem");
        let root = match files::text(&root_path)? {
            Some(text) => Root::from_pem(&text)?,
            None => {
                let root = Root::generate(Validity::lasting(now, ROOT_LIFETIME))?;
                files::put(&root_path, &root.to_pem(), 0o600)?;
                root
            }
        };
        let issuer = match files::text(&settings.folder.join("ca/issuer.pem"))? {
            Some(text) => Issuer::from_pem(&text)?,
            None => new_issuer(&settings, &root, now)?,
        };
        let bundle = TrustBundle::new([root.certificate().clone()])?;
        files::put(&settings.folder.join("trust-bundle.pem"), &bundle.to_pem(), 0o644)?;
        let current = Current::new(&settings, issuer, bundle, now)?;
        Ok(Self { settings, current: ArcSwap::from_pointee(current), rotation: Mutex::default() })
    }

    /// Whom the mesh trusts.
    pub fn bundle(&self) -> TrustBundle {
        self.current.load().bundle.clone()
    }

    /// Who signs now: hex of the SHA-256 of its public key.
    pub fn issuer_id(&self) -> String {
        self.current.load().issuer.id().to_owned()
    }

    /// When the control plane's own leaf is over.
    pub fn own_expiry(&self) -> SystemTime {
        self.current.load().own.not_after()
    }

    /// TLS of the control plane's own port, with the leaf of this moment.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.current.load().server.clone()
    }

    /// Gives a caller a certificate for the identity that it proves.
    ///
    /// A join token is used up only by a request that gets its certificate.
    ///
    /// # Errors
    /// The proof is not good, or the request cannot be signed.
    pub fn certify(&self, request: &pb::CertifyRequest, caller: &Caller) -> Result<Issued, CertifyError> {
        let now = SystemTime::now();
        let proven = Proven::by(request, caller, &self.settings.folder, now)?;
        let identity = proven.identity.clone();
        let current = self.current.load();
        let validity = Validity::lasting(now, self.settings.leaf_lifetime);
        let chain = current.issuer.issue(&request.csr_der, &identity, validity)?;
        proven.redeem()?;
        let chain = chain.into_iter().map(|certificate| certificate.to_vec()).collect();
        Ok(Issued { identity, chain, bundle: current.bundle.clone() })
    }

    /// Replaces the issuer by a new one under the same root. What the old one has signed stays good; from now on leaves
    /// are the new one's. Returns the new issuer's id.
    ///
    /// # Errors
    /// The folder cannot be used; the old issuer then goes on.
    pub async fn rotate_issuer(&self) -> Result<String, AuthorityError> {
        let _one_at_a_time = self.rotation.lock().await;
        let now = SystemTime::now();
        let root = self.root()?;
        let issuer = new_issuer(&self.settings, &root, now)?;
        let id = issuer.id().to_owned();
        let current = Current::new(&self.settings, issuer, self.bundle(), now)?;
        self.current.store(Arc::new(current));
        Ok(id)
    }

    /// When [`Authority::maintain`] has something to do next.
    pub fn next_maintenance(&self, jitter: f64) -> SystemTime {
        let current = self.current.load();
        let own = &current.own;
        let issuer = current.issuer.validity().not_after.checked_sub(ISSUER_RESERVE).unwrap_or(SystemTime::UNIX_EPOCH);
        renew_at(SystemTime::now(), own.not_before(), own.not_after(), jitter).min(issuer)
    }

    /// Renews the control plane's own leaf, and the issuer when little is left of it.
    ///
    /// # Errors
    /// The folder cannot be used; what was there goes on.
    pub async fn maintain(&self) -> Result<(), AuthorityError> {
        let now = SystemTime::now();
        let left = self.current.load().issuer.validity().not_after.duration_since(now).unwrap_or_default();
        if left < ISSUER_RESERVE {
            return self.rotate_issuer().await.map(drop);
        }
        let _one_at_a_time = self.rotation.lock().await;
        let issuer = Issuer::from_pem(&self.current.load().issuer.to_pem())?;
        self.current.store(Arc::new(Current::new(&self.settings, issuer, self.bundle(), now)?));
        Ok(())
    }

    /// The root's key is read when it is needed, and not kept.
    fn root(&self) -> Result<Root, AuthorityError> {
        let path = self.settings.folder.join("ca/root.pem");
        let gone = || FileError { path: path.clone(), action: "read", source: std::io::ErrorKind::NotFound.into() };
        Ok(Root::from_pem(&files::text(&path)?.ok_or_else(gone)?)?)
    }
}

fn new_issuer(settings: &AuthoritySettings, root: &Root, now: SystemTime) -> Result<Issuer, AuthorityError> {
    let issuer = Issuer::generate(root, Validity::lasting(now, ISSUER_LIFETIME))?;
    files::put(&settings.folder.join("ca/issuer.pem"), &issuer.to_pem(), 0o600)?;
    Ok(issuer)
}

impl Current {
    fn new(
        settings: &AuthoritySettings,
        issuer: Issuer,
        bundle: TrustBundle,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let request = CertificateRequest::new(&key, &settings.identity)?;
        let validity = Validity::lasting(now, settings.leaf_lifetime);
        let chain = issuer.issue(request.der(), &settings.identity, validity)?;
        let own = Leaf::new(chain, key)?;
        let server = control_server(&own, &bundle)?;
        Ok(Self { issuer, bundle, own, server })
    }
}
