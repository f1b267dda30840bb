//! This workload's identity as it is now: what workers read, and what discovery and renewal replace.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tonic::transport::Channel;
use weft_api::{TrustBundleView, pb};
use weft_certs::{BundleError, Leaf, MeshTls, SpiffeId, SpiffeIdError, TlsError, TrustBundle};

use super::{
    channel::{ChannelError, control_channel},
    fetch::{self, FetchError},
};
use crate::{config::Config, telemetry::Metrics};

/// A certificate and all that follows from it.
#[derive(Debug)]
pub struct Current {
    /// TLS with other proxies; it knows the leaf and the trust bundle.
    pub tls: MeshTls,
    /// When the certificate ends.
    pub expires: Instant,
}

/// This workload's identity, as it is now. Workers read it; the control runtime writes it.
pub struct IdentityStore {
    /// Who the control plane is asked to certify.
    pub name: SpiffeId,
    pub(super) config: Config,
    pub(super) metrics: Arc<Metrics>,
    /// Rung when the certificate must be renewed before its time.
    pub(super) renew: Notify,
    /// Who signs now, as the control plane has said: hex of the hash of its key. Empty: it has not.
    signer: watch::Sender<String>,
    current: ArcSwapOption<Current>,
    trust: Mutex<Trust>, // also orders the writers of `current`
    changes: watch::Sender<u64>,
}

/// Whom to trust, and who said so.
#[derive(Default)]
struct Trust {
    bundle: Option<TrustBundle>,
    from_discovery: bool,
}

/// Why a trust bundle is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefused {
    /// Its certificates.
    #[error("the control plane sent a trust bundle that cannot be used")]
    Bundle(#[from] BundleError),
    /// TLS with it.
    #[error("the trust bundle makes no TLS")]
    Tls(#[from] TlsError),
}

impl IdentityStore {
    /// A store without a certificate.
    ///
    /// # Errors
    /// The settings make no SPIFFE identity.
    pub fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Arc<Self>, SpiffeIdError> {
        let (plane, pod) = (&config.control_plane, &config.pod);
        Ok(Arc::new(Self {
            name: SpiffeId::new(&plane.trust_domain, &pod.namespace, &pod.service_account)?,
            config: config.clone(),
            metrics: metrics.clone(),
            renew: Notify::new(),
            signer: watch::Sender::default(),
            current: ArcSwapOption::empty(),
            trust: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// The certificate to use now. None: there is none yet, or it has expired.
    pub fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full().filter(|current| current.expires > Instant::now())
    }

    /// Sees every change after this call.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A connection to the control plane over which it knows who we are. Cancel-safe.
    ///
    /// # Errors
    /// [`ChannelError`]; without a certificate there is no such connection.
    pub async fn control_channel(&self) -> Result<Channel, ChannelError> {
        let current = self.current().ok_or(ChannelError::NoCertificate)?;
        control_channel(&self.config, current.tls.bundle(), Some(current.tls.leaf())).await
    }

    /// What the control plane is told about leaf and bundle. None: there is no leaf yet.
    pub fn report(&self) -> Option<pb::Report> {
        let current = self.current.load_full()?;
        let leaf = current.tls.leaf();
        let expiry = leaf.not_after().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(pb::Report {
            bundle_version: current.tls.bundle().version(),
            leaf_issuer: leaf.issuer_id().to_owned(),
            leaf_expiry_unix_seconds: i64::try_from(expiry.as_secs()).unwrap_or(i64::MAX),
        })
    }

    /// What /config shows.
    pub fn describe(&self) -> serde_json::Value {
        let certificate = self.report().map(|report| {
            json!({
                "issuer": report.leaf_issuer,
                "expires_unix_seconds": report.leaf_expiry_unix_seconds,
                "trust_bundle": format!("{:016x}", report.bundle_version),
            })
        });
        json!({ "name": self.name.as_str(), "certificate": certificate })
    }

    /// Whether the issuer that signs now is another than the certificate's.
    pub(super) fn is_outdated(&self) -> bool {
        let signer = self.signer.borrow();
        let differs = |current: &Arc<Current>| current.tls.leaf().issuer_id() != *signer;
        !signer.is_empty() && self.current.load_full().as_ref().is_some_and(differs)
    }

    /// Waits until that is so. Cancel-safe.
    pub(super) async fn outdated(&self) {
        let mut signer = self.signer.subscribe();
        while !self.is_outdated() {
            // The sender lives as long as `self`.
            let _changed = signer.changed().await;
        }
    }

    /// Takes the trust bundle that discovery brought. A leaf that it does not hold for is renewed at once; one of another
    /// issuer than it names is renewed soon.
    ///
    /// # Errors
    /// It is not taken, and the one before stays.
    pub fn update_bundle(&self, view: &TrustBundleView) -> Result<(), BundleRefused> {
        let bundle = TrustBundle::new(view.anchors.iter().map(|anchor| anchor.to_vec().into()))?;
        let mut trust = self.trust();
        if let Some(current) = self.current.load_full() {
            let leaf = current.tls.leaf();
            if *current.tls.bundle() != bundle {
                self.publish(Current { tls: MeshTls::new(leaf, &bundle)?, expires: current.expires });
            }
            if leaf.verify(&bundle, SystemTime::now()).is_err() {
                self.renew.notify_one();
            }
        }
        *trust = Trust { bundle: Some(bundle), from_discovery: true };
        self.signer.send_if_modified(|known| {
            let differs = *known != view.issuer;
            known.clone_from(&view.issuer);
            differs
        });
        Ok(())
    }

    /// Takes a new leaf, and the bundle that came with it unless discovery has brought one that holds for it.
    pub(crate) fn update_leaf(&self, leaf: &Leaf, bundle: TrustBundle) -> Result<(), TlsError> {
        let now = SystemTime::now();
        let mut trust = self.trust();
        let known = trust.bundle.take().filter(|known| trust.from_discovery && leaf.verify(known, now).is_ok());
        trust.from_discovery = known.is_some();
        let bundle = trust.bundle.insert(known.unwrap_or(bundle));
        let left = leaf.not_after().duration_since(now).unwrap_or_default();
        self.publish(Current { tls: MeshTls::new(leaf, bundle)?, expires: Instant::now() + left });
        self.metrics.set_certificate_expiry(leaf.not_after());
        Ok(())
    }

    /// Whom the control plane is believed by: what it said last, and at first what this proxy was given.
    pub(super) fn trusted(&self) -> Result<TrustBundle, FetchError> {
        let known = self.trust().bundle.clone();
        known.map_or_else(|| self.given(), Ok)
    }

    /// The same and, for who begins anew, what this proxy was given: that is kept fresh from outside, while the proxy may
    /// have been cut off.
    pub(super) fn trusted_or_given(&self) -> Result<TrustBundle, FetchError> {
        let known = self.trusted()?;
        let Ok(given) = self.given() else { return Ok(known) };
        Ok(known.with(&given)?)
    }

    fn given(&self) -> Result<TrustBundle, FetchError> {
        fetch::bootstrap(&self.config.control_plane.trust_bundle_file)
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, current: Current) {
        self.current.store(Some(Arc::new(current)));
        self.changes.send_modify(|count| *count += 1);
    }
}
