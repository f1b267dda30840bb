//! The picture of the mesh, on the control thread: follows destinations, takes resources, publishes what workers see.
//!
//! Knows nothing of the stream that resources come by (`watch.rs`), so a test or a benchmark can feed it directly:
//! [`Picture::apply`], [`Picture::synced`], [`Picture::follow`], [`Picture::publish`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use tracing::debug;
use weft_api::{AppProtocol, ClusterView, Destination, Key, ServiceName, ServiceView, Version};

use super::{
    Directory, Settings,
    backends::Backends,
    followed::{Followed, FollowedPort, FollowedService, What},
    list::{List, Place},
    subscriptions::Subscriptions,
};
use crate::{balance::Locality, policy::DestinationPolicy, retry::Budget};

/// Everything that discovery has said.
#[derive(Debug)]
pub struct Picture {
    pub(super) directory: Arc<Directory>,
    pub(super) settings: Settings,
    /// What is held, by the control plane's versions.
    pub(super) have: HashMap<Key, Version>,
    /// What workers act on and the control plane has not been told of.
    pub(super) applied: HashMap<Key, Version>,
    pub(super) subscriptions: Subscriptions,
    pub(super) cluster: Option<Arc<ClusterView>>,
    pub(super) services: BTreeMap<ServiceName, ServiceView>,
    pub(super) backends: Backends,
    pub(super) followed: Followed,
    pub(super) changed: Changed,
    /// Where this proxy's pod runs, as settings say.
    own_locality: Locality,
    /// The same, and where settings say nothing, as the control plane does.
    pub(super) locality: Locality,
    synced: bool,
}

/// What has changed since it was published.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) list: bool,
    pub(super) targets: bool,
}

impl Picture {
    /// An empty picture: every address is unanswered.
    pub fn new(settings: Settings) -> Self {
        Self {
            directory: Directory::new(settings.foreign_allowed),
            settings,
            have: HashMap::new(),
            applied: HashMap::new(),
            subscriptions: Subscriptions::default(),
            cluster: None,
            services: BTreeMap::new(),
            backends: Backends::new(settings.balance),
            followed: Followed::default(),
            changed: Changed::default(),
            own_locality: Locality::default(),
            locality: Locality::default(),
            synced: false,
        }
    }

    /// The same picture, of a pod that runs here: what the control plane says of its locality does not count.
    pub fn at(mut self, locality: Locality) -> Self {
        self.locality = locality.clone();
        self.own_locality = locality;
        self
    }

    /// What workers ask.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// The list of all Services is whole.
    pub fn synced(&mut self) {
        self.changed.list |= !self.synced;
        self.synced = true;
        self.directory.freshness.synced();
    }

    /// The control plane says where the pod runs.
    pub(super) fn relocate(&mut self, locality: &Locality) {
        let locality = self.own_locality.or(locality);
        if self.locality != locality {
            debug!(?locality, "the pod's locality is known");
            self.locality = locality;
            self.backends.relocate(&self.locality);
        }
    }

    /// Follows an address that somebody wants to go to: subscribes to its details. Nothing happens for an address that
    /// leads nowhere, or is not known yet.
    pub fn follow(&mut self, address: SocketAddr) {
        let place = self.directory.list.load().place(address);
        match place {
            Place::Service(destination) => self.follow_service(destination),
            Place::Inside => self.follow_pod(address),
            Place::Undeclared(_) | Place::Outside | Place::Unlisted => {}
        }
        if self.followed.len() > self.settings.capacity {
            self.sweep();
        }
    }

    /// Follows all that workers have asked for.
    pub(super) fn meet_demand(&mut self) {
        for address in self.directory.demand.take() {
            self.follow(address);
        }
    }

    /// Drops what has not been used for long, and the least recently used of what is too much. What a connection holds
    /// stays.
    pub fn sweep(&mut self) {
        let clock = self.directory.clock();
        let idle = u64::try_from(self.settings.idle.as_millis()).unwrap_or(u64::MAX);
        let followed = self.followed.len();
        // A tenth more than needed, so that a flood of new addresses does not sort them all for each one.
        let excess = if followed > self.settings.capacity { followed - self.settings.capacity * 9 / 10 } else { 0 };
        for (index, (used, what)) in self.followed.unused(clock).into_iter().enumerate() {
            if index < excess || clock.saturating_sub(used) >= idle {
                debug!(destination = ?what, "no longer followed");
                self.unfollow(&what);
            }
        }
    }

    /// Shows workers what has changed, and wakes those who wait.
    pub fn publish(&mut self) {
        let Changed { list, targets } = std::mem::take(&mut self.changed);
        if !list && !targets {
            return;
        }
        if list {
            let services = self.services.iter();
            self.directory.list.store(Arc::new(List::new(self.synced, self.cluster.clone(), services)));
            for backend in self.backends.all() {
                backend.declare(self.protocol(&backend.destination));
            }
        }
        self.publish_targets();
        self.directory.wake();
    }

    /// What a Service's port speaks, as declared.
    pub(super) fn protocol(&self, destination: &Destination) -> AppProtocol {
        protocol(&self.services, destination)
    }

    /// A new stream begins: what it is told in Hello.
    pub(super) fn begin_stream(&mut self) -> BTreeMap<Key, Version> {
        self.applied.clear();
        self.subscriptions.begin(|key| self.have.contains_key(key));
        self.have.iter().map(|(key, version)| (key.clone(), *version)).collect()
    }

    /// Versions that workers act on by now and that the control plane is to be told.
    pub(super) fn take_applied(&mut self) -> BTreeSet<(Key, u64)> {
        self.applied.drain().map(|(key, version)| (key, version.0)).collect()
    }

    pub(super) fn release(&mut self, destination: &Destination) {
        if let Some(key) = self.backends.release(destination, &mut self.subscriptions) {
            self.forget(&key);
            self.changed.targets = true;
        }
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.have.remove(key);
        self.applied.remove(key);
    }

    fn follow_service(&mut self, destination: Destination) {
        if self.followed.services.contains_key(&destination) {
            return;
        }
        let protocol = self.protocol(&destination);
        let backend = self.backends.hold(&destination, protocol, &mut self.subscriptions);
        self.subscriptions.add(Key::Routes(destination.clone()));
        let policy = Arc::new(DestinationPolicy::new(backend, Budget::new(self.settings.budget)));
        self.followed.services.insert(destination, FollowedService::new(policy, self.directory.clock()));
        self.changed.targets = true;
    }

    fn follow_pod(&mut self, address: SocketAddr) {
        let clock = self.directory.clock();
        self.subscriptions.add(Key::Workload(address.ip()));
        let pod = self.followed.pods.entry(address.ip()).or_default();
        pod.ports.entry(address.port()).or_insert(FollowedPort { asked: clock, known: None });
        if let Err(error) = self.aim_at_pod(address.ip()) {
            // Its view was checked when it came, and only checked ones are kept.
            debug!(%address, %error, "pod not followed");
        }
    }

    fn unfollow(&mut self, what: &What) {
        self.changed.targets = true;
        match what {
            What::Service(destination) => {
                let Some(service) = self.followed.services.remove(destination) else { return };
                let routes = Key::Routes(destination.clone());
                self.subscriptions.remove(&routes);
                self.forget(&routes);
                self.release(destination);
                service.routed_to.iter().for_each(|backend| self.release(backend));
            }
            What::Pod(address) => {
                let Some(pod) = self.followed.pods.get_mut(&address.ip()) else { return };
                pod.ports.remove(&address.port());
                if pod.ports.is_empty() {
                    self.followed.pods.remove(&address.ip());
                    let workload = Key::Workload(address.ip());
                    self.subscriptions.remove(&workload);
                    self.forget(&workload);
                }
            }
        }
    }

    fn publish_targets(&self) {
        let mut targets = HashMap::new();
        let mut backends: Vec<_> = self.backends.all().cloned().collect();
        for (ip, pod) in &self.followed.pods {
            for (port, followed) in &pod.ports {
                let Some((target, entry)) = &followed.known else { continue };
                targets.insert(SocketAddr::new(*ip, *port), Arc::clone(entry));
                backends.push(Arc::clone(&target.backend));
            }
        }
        for (destination, followed) in &self.followed.services {
            let Some(service) = self.services.get(&destination.service) else { continue };
            if followed.policy.answered() && service.ports.iter().any(|port| port.port == destination.port) {
                let at = |ip: &std::net::IpAddr| SocketAddr::new(ip.to_canonical(), destination.port);
                targets.extend(service.addresses.iter().map(|ip| (at(ip), Arc::clone(&followed.entry))));
            }
        }
        self.directory.targets.store(Arc::new(targets));
        self.directory.backends.store(Arc::new(backends));
    }
}

pub(super) fn protocol(services: &BTreeMap<ServiceName, ServiceView>, destination: &Destination) -> AppProtocol {
    let ports = services.get(&destination.service).map(|service| service.ports.as_slice()).unwrap_or_default();
    let port = ports.iter().find(|port| port.port == destination.port);
    port.map_or(AppProtocol::Detect, |port| port.protocol)
}
