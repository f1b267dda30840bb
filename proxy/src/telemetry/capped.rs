//! The cap on series: sets of labels as keys, and what a new one becomes when there are too many.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::IntCounter;

use super::{
    labels::{Direction, Protocol},
    series::{HttpLabels, TcpLabels},
};

/// What stands for every label set beyond the cap.
pub(super) const OVERFLOW: &str = "overflow";

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
    series: Mutex<HashMap<K, Arc<S>>>,
}

impl<K: Labels, S> Capped<K, S> {
    pub(super) fn new(limit: usize, overflowed: IntCounter) -> Self {
        Self { limit, overflowed, series: Mutex::new(HashMap::new()) }
    }

    /// The series of these labels, or of `overflow` when the cap is reached.
    pub(super) fn series(&self, key: K, make: impl Fn(&K) -> S) -> Arc<S> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = series.get(&key) {
            return Arc::clone(known);
        }
        let key = if series.len() < self.limit {
            key
        } else {
            self.overflowed.inc();
            key.overflow()
        };
        let made = series.entry(key).or_insert_with_key(|key| Arc::new(make(key)));
        Arc::clone(made)
    }

    pub(super) fn remove(&self, key: &K) -> Option<Arc<S>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }
}
