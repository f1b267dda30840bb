//! The cap on series: sets of labels as keys, and what a new one becomes when there are too many.
//!
//! Series that have not been used for long make room first. To Prometheus that is a counter that ends, and when its labels
//! are used again, one that was reset: `rate` and `increase` know both, and nothing uncollected is lost after so long.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::IntCounter;
use tokio::time::Instant;

use super::{
    labels::{Direction, Protocol},
    series::{HttpLabels, TcpLabels},
};

/// What stands for every label set beyond the cap.
pub(super) const OVERFLOW: &str = "overflow";

/// After this time without a look-up, a series that nobody holds makes room: several scrapes have seen its last value.
/// Who keeps handles looks them up anew from time to time ([`super::HANDLES_KEPT`]).
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often room is looked for, at most.
const SWEEP: Duration = Duration::from_secs(60);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct HttpKey {
    pub(super) direction: Direction,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) route: String,
    pub(super) protocol: Protocol,
    pub(super) mtls: bool,
    pub(super) peer: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TcpKey {
    pub(super) direction: Direction,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) mtls: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct DestinationKey {
    pub(super) namespace: String,
    pub(super) service: String,
}

impl HttpKey {
    /// Whether both are counted by the same series of `weft_http_requests_total`, which does not tell protocols apart.
    pub(super) fn shares_requests(&self, other: &Self) -> bool {
        Self { protocol: other.protocol, ..self.clone() } == *other
    }

    /// The same of `weft_http_request_duration_seconds`, which does not tell peers apart.
    pub(super) fn shares_duration(&self, other: &Self) -> bool {
        Self { peer: other.peer.clone(), ..self.clone() } == *other
    }
}

impl DestinationKey {
    pub(super) fn new(namespace: &str, service: &str) -> Self {
        Self { namespace: namespace.to_owned(), service: service.to_owned() }
    }
}

impl From<HttpLabels<'_>> for HttpKey {
    fn from(labels: HttpLabels<'_>) -> Self {
        let HttpLabels { direction, namespace, service, route, protocol, mtls, peer } = labels;
        Self {
            direction,
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            route: route.to_owned(),
            protocol,
            mtls,
            peer: peer.map(str::to_owned),
        }
    }
}

impl From<TcpLabels<'_>> for TcpKey {
    fn from(labels: TcpLabels<'_>) -> Self {
        let TcpLabels { direction, namespace, service, mtls } = labels;
        Self { direction, namespace: namespace.to_owned(), service: service.to_owned(), mtls }
    }
}

/// A set of labels that can be replaced by one of a few for all.
pub(super) trait Labels: Clone + Eq + Hash {
    /// The same with everything that can grow replaced.
    fn overflow(&self) -> Self;
}

impl Labels for HttpKey {
    fn overflow(&self) -> Self {
        let (namespace, service, route) = (OVERFLOW.to_owned(), OVERFLOW.to_owned(), OVERFLOW.to_owned());
        Self { namespace, service, route, peer: self.peer.as_ref().map(|_| OVERFLOW.to_owned()), ..*self }
    }
}

impl Labels for TcpKey {
    fn overflow(&self) -> Self {
        Self { namespace: OVERFLOW.to_owned(), service: OVERFLOW.to_owned(), ..*self }
    }
}

impl Labels for DestinationKey {
    fn overflow(&self) -> Self {
        Self::new(OVERFLOW, OVERFLOW)
    }
}

/// Series by labels, with a cap on how many labels there are.
pub(super) struct Capped<K, S> {
    limit: usize,
    overflowed: IntCounter,
    held: Mutex<Held<K, S>>,
}

struct Held<K, S> {
    series: HashMap<K, Entry<S>>,
    /// Those that stand for many; few, and for ever.
    overflow: HashMap<K, Arc<S>>,
    swept: Option<Instant>,
}

struct Entry<S> {
    series: Arc<S>,
    looked_up: Instant,
}

impl<K: Labels, S> Capped<K, S> {
    pub(super) fn new(limit: usize, overflowed: IntCounter) -> Self {
        Self {
            limit,
            overflowed,
            held: Mutex::new(Held { series: HashMap::new(), overflow: HashMap::new(), swept: None }),
        }
    }

    /// The series of these labels, or of `overflow` when the cap is reached and nothing makes room. `unregister`
    /// takes a series out of the scrape, but for what it shares with those that stay.
    pub(super) fn series(
        &self,
        key: K,
        make: impl Fn(&K) -> S,
        unregister: impl Fn(&K, &mut dyn Iterator<Item = &K>),
    ) -> Arc<S> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(known) = held.series.get_mut(&key) {
            known.looked_up = now;
            return Arc::clone(&known.series);
        }
        if held.series.len() >= self.limit {
            held.sweep(now, unregister);
        }
        if held.series.len() >= self.limit {
            self.overflowed.inc();
            let made = held.overflow.entry(key.overflow()).or_insert_with_key(|key| Arc::new(make(key)));
            return Arc::clone(made);
        }
        let made = Arc::new(make(&key));
        held.series.insert(key, Entry { series: Arc::clone(&made), looked_up: now });
        made
    }

    /// Takes a series out unless somebody holds it. False: it is held.
    pub(super) fn remove(&self, key: &K, unregister: impl FnOnce()) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = held.series.get(key) else { return true };
        if Arc::strong_count(&entry.series) > 1 {
            return false;
        }
        unregister();
        held.series.remove(key);
        true
    }
}

impl<K: Labels, S> Held<K, S> {
    /// Who holds a series has it from here, under the lock: one that is held here alone cannot be used meanwhile.
    fn sweep(&mut self, now: Instant, unregister: impl Fn(&K, &mut dyn Iterator<Item = &K>)) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        let mut idle = Vec::new();
        self.series.retain(|key, entry| {
            let used = Arc::strong_count(&entry.series) > 1 || now.saturating_duration_since(entry.looked_up) < IDLE;
            if !used {
                idle.push(key.clone());
            }
            used
        });
        for key in &idle {
            unregister(key, &mut self.series.keys());
        }
    }
}
