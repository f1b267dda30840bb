//! What is followed because connections went there: Services' ports and pods, and when they were used last.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use weft_api::{Destination, PodView};

use super::directory::{Entry, Target};
use crate::policy::{DestinationPolicy, PodTarget};

#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) services: HashMap<Destination, FollowedService>,
    pub(super) pods: HashMap<IpAddr, FollowedPod>,
}

/// A Service's port.
#[derive(Debug)]
pub(super) struct FollowedService {
    pub(super) policy: Arc<DestinationPolicy>,
    pub(super) entry: Arc<Entry>,
    /// The backends that its routes name, each held once.
    pub(super) routed_to: Vec<Destination>,
}

/// A pod, by its address.
#[derive(Debug, Default)]
pub(super) struct FollowedPod {
    /// None: not answered, or there is no such pod.
    pub(super) view: Option<PodView>,
    /// By the port that was called.
    pub(super) ports: HashMap<u16, FollowedPort>,
}

/// A port of a pod.
#[derive(Debug)]
pub(super) struct FollowedPort {
    /// When it was first asked for, in milliseconds of the directory's clock.
    pub(super) asked: u64,
    /// What it leads to, once that is known.
    pub(super) known: Option<(Arc<PodTarget>, Arc<Entry>)>,
}

/// Something that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Service(Destination),
    Pod(SocketAddr),
}

impl FollowedService {
    pub(super) fn new(policy: Arc<DestinationPolicy>, clock: u64) -> Self {
        let entry = entry(Target::Service(Arc::clone(&policy)), clock);
        Self { policy, entry, routed_to: Vec::new() }
    }

    /// Whether a connection holds it; the two that do not count are this and the entry's.
    fn in_use(&self) -> bool {
        Arc::strong_count(&self.policy) > 2
    }
}

impl FollowedPort {
    /// When it was used last, and whether a connection holds it.
    fn used(&self) -> (u64, bool) {
        let Some((target, entry)) = &self.known else { return (self.asked, false) };
        (entry.used.load(Relaxed), Arc::strong_count(target) > 2)
    }
}

impl Followed {
    pub(super) fn len(&self) -> usize {
        self.services.len() + self.pods.values().map(|pod| pod.ports.len()).sum::<usize>()
    }

    /// What no connection holds, with the time of its last use, oldest first. What one holds is used now.
    pub(super) fn unused(&self, clock: u64) -> Vec<(u64, What)> {
        let mut unused = Vec::new();
        for (destination, service) in &self.services {
            if service.in_use() {
                service.entry.used.store(clock, Relaxed);
            } else {
                unused.push((service.entry.used.load(Relaxed), What::Service(destination.clone())));
            }
        }
        for (ip, pod) in &self.pods {
            for (port, followed) in &pod.ports {
                match (followed.used(), &followed.known) {
                    ((_, true), Some((_, entry))) => entry.used.store(clock, Relaxed),
                    ((used, _), _) => unused.push((used, What::Pod(SocketAddr::new(*ip, *port)))),
                }
            }
        }
        unused.sort_by_key(|(used, _)| *used);
        unused
    }
}

pub(super) fn entry(target: Target, clock: u64) -> Arc<Entry> {
    Arc::new(Entry { target, used: AtomicU64::new(clock) })
}
