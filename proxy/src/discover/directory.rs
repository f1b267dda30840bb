//! What workers ask: where an original destination leads. Written by [`super::Picture`] alone.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use weft_api::{ClusterView, TrustBundleView};

use super::{
    DiscoverError, Listed,
    demand::Demand,
    freshness::Freshness,
    list::{List, Place, canonical},
};
use crate::{
    address::OrigDst,
    balance::Backend,
    policy::{DestinationPolicy, InboundPolicies, PodTarget},
};

/// Where a connection goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// To a Service's port.
    Service(Arc<DestinationPolicy>),
    /// To a pod, by its own address.
    Pod(Arc<PodTarget>),
    /// Outside of the cluster: passed through.
    Foreign,
}

/// What is known about an address now.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It leads there.
    Known(Target),
    /// It is outside of the cluster.
    Foreign,
    /// It leads nowhere, and waiting would not help.
    Refused(DiscoverError),
    /// It is in the cluster or may be: [`Directory::resolve`] waits.
    Unanswered,
}

/// The picture as workers see it. No look-up takes a lock.
#[derive(Debug)]
pub struct Directory {
    pub(super) list: ArcSwap<List>,
    pub(super) targets: ArcSwap<HashMap<SocketAddr, Arc<Entry>>>,
    pub(super) backends: ArcSwap<Vec<Arc<Backend>>>,
    pub(super) demand: Demand,
    pub(super) freshness: Freshness,
    pub(super) trust: watch::Sender<Option<Arc<TrustBundleView>>>,
    inbound: InboundPolicies,
    foreign_allowed: bool,
    epoch: Instant,
    published: watch::Sender<u64>,
}

/// A target in the map, and when it was last asked for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    /// Milliseconds since the directory's epoch.
    pub(super) used: AtomicU64,
}

impl Directory {
    pub(super) fn new(foreign_allowed: bool) -> Arc<Self> {
        Arc::new(Self {
            list: ArcSwap::default(),
            targets: ArcSwap::default(),
            backends: ArcSwap::default(),
            demand: Demand::default(),
            freshness: Freshness::new(),
            trust: watch::Sender::default(),
            inbound: InboundPolicies::default(),
            foreign_allowed,
            epoch: Instant::now(),
            published: watch::Sender::new(0),
        })
    }

    /// What is known about an address now. Takes no lock and does not wait.
    pub fn lookup(&self, to: OrigDst) -> Lookup {
        let address = SocketAddr::new(canonical(to.0.ip()), to.0.port());
        if let Some(entry) = self.targets.load().get(&address) {
            entry.used.store(self.clock(), Relaxed);
            return Lookup::Known(entry.target.clone());
        }
        match self.list.load().place(address) {
            Place::Service(_) | Place::Inside | Place::Unlisted => Lookup::Unanswered,
            Place::Undeclared(service) => {
                Lookup::Refused(DiscoverError::UndeclaredPort { service, port: address.port() })
            }
            Place::Outside if self.foreign_allowed => Lookup::Foreign,
            Place::Outside => Lookup::Refused(DiscoverError::ForeignForbidden { to }),
        }
    }

    /// The same, but asks the control plane and waits up to `limit` for what is unanswered. Cancel-safe.
    ///
    /// # Errors
    /// [`DiscoverError`] says why the connection must be refused.
    pub async fn resolve(&self, to: OrigDst, limit: Duration) -> Result<Target, DiscoverError> {
        let mut published = self.published.subscribe();
        let deadline = Instant::now() + limit;
        loop {
            match self.lookup(to) {
                Lookup::Known(target) => return Ok(target),
                Lookup::Foreign => return Ok(Target::Foreign),
                Lookup::Refused(error) => return Err(error),
                Lookup::Unanswered => self.demand.ask(SocketAddr::new(canonical(to.0.ip()), to.0.port())),
            }
            if !matches!(timeout_at(deadline, published.changed()).await, Ok(Ok(()))) {
                return Err(DiscoverError::Timeout { to, limit });
            }
        }
    }

    /// Policy of the proxy's own pod.
    pub fn inbound(&self) -> &InboundPolicies {
        &self.inbound
    }

    /// Whom to trust, as the control plane said last.
    pub fn trust_bundle(&self) -> watch::Receiver<Option<Arc<TrustBundleView>>> {
        self.trust.subscribe()
    }

    /// How long no control plane has confirmed the picture; zero while one does. None: there is no whole picture yet.
    pub fn age(&self) -> Option<Duration> {
        self.freshness.age()
    }

    /// The cluster's ranges and trust domain. None: not known yet.
    pub fn cluster(&self) -> Option<Arc<ClusterView>> {
        self.list.load().cluster().cloned()
    }

    /// All Services that have an address, for `/config`.
    pub fn services(&self) -> Vec<(std::net::IpAddr, Arc<Listed>)> {
        self.list.load().services().map(|(address, listed)| (*address, Arc::clone(listed))).collect()
    }

    /// All backends that are followed, for metrics and `/config`.
    pub fn backends(&self) -> Arc<Vec<Arc<Backend>>> {
        self.backends.load_full()
    }

    /// All addresses that are known to lead somewhere, for `/config`.
    pub fn targets(&self) -> Vec<(SocketAddr, Target)> {
        self.targets.load().iter().map(|(address, entry)| (*address, entry.target.clone())).collect()
    }

    /// Wakes who waits for an answer.
    pub(super) fn wake(&self) {
        self.published.send_modify(|count| *count += 1);
    }

    /// Milliseconds since the directory was made.
    pub(super) fn clock(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
