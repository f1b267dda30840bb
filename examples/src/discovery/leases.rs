//! Which instances of a service there are: those whose lease has not run out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

/// The longest lease.
pub const LONGEST: Duration = Duration::from_secs(10);
const MOST: usize = 10_000;

/// The instances of one service at one time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Instances {
    /// Another one than before whenever any list is another one.
    pub version: u64,
    /// Whether every instance has had the time to report since the registry was started. Until then a client keeps what it
    /// knows beside.
    pub complete: bool,
    /// `host:port` of each.
    pub addresses: Vec<String>,
}

/// All leases. The time is given with each call.
#[derive(Debug)]
pub struct Leases {
    services: BTreeMap<String, BTreeMap<String, Instant>>,
    version: u64,
    begun: Instant,
}

impl Leases {
    /// None yet. Versions start at a random number, so that those of another run are never taken for this one's.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { services: BTreeMap::new(), version: fastrand::u64(1..1 << 52), begun: now }
    }

    /// Begins or renews the lease of one instance; `false` where there is no room for another.
    pub fn renew(&mut self, service: &str, address: &str, lease: Duration, now: Instant) -> bool {
        let is_known = self.services.get(service).is_some_and(|instances| instances.contains_key(address));
        if !is_known {
            if self.services.values().map(BTreeMap::len).sum::<usize>() >= MOST {
                return false;
            }
            self.version += 1;
        }
        self.services.entry(service.to_owned()).or_default().insert(address.to_owned(), now + lease);
        true
    }

    /// Ends a lease early.
    pub fn end(&mut self, service: &str, address: &str) {
        if self.services.get_mut(service).is_some_and(|instances| instances.remove(address).is_some()) {
            self.version += 1;
        }
    }

    /// Drops what has run out.
    pub fn expire(&mut self, now: Instant) {
        for instances in self.services.values_mut() {
            let before = instances.len();
            instances.retain(|_, end| *end > now);
            self.version += u64::from(instances.len() != before);
        }
        self.services.retain(|_, instances| !instances.is_empty());
    }

    /// When the next lease runs out.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.services.values().flat_map(BTreeMap::values).min().copied()
    }

    /// Of all lists.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who there is of a service.
    #[must_use]
    pub fn of(&self, service: &str, now: Instant) -> Instances {
        let addresses = self.services.get(service).map(|instances| instances.keys().cloned().collect());
        let complete = now.saturating_duration_since(self.begun) >= LONGEST;
        Instances { version: self.version, complete, addresses: addresses.unwrap_or_default() }
    }
}
