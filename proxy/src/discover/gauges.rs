//! The gauges of discovery and of the balancers, brought up to date before each scrape.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use weft_api::ServiceName;

use super::Directory;
use crate::{
    balance::Counts,
    telemetry::{EndpointState, Metrics},
};

/// For `Metrics::before_scrape`.
#[derive(Debug)]
pub struct Gauges {
    directory: Arc<Directory>,
    /// Whose series exist.
    shown: Mutex<HashSet<ServiceName>>,
}

impl Gauges {
    /// Gauges of this directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory, shown: Mutex::default() }
    }

    /// Sets them to what is true now, and drops those of destinations that are no longer followed.
    pub fn refresh(&self, metrics: &Metrics) {
        if let Some(age) = self.directory.age() {
            metrics.set_discovery_age(age);
        }
        let mut counts: HashMap<ServiceName, Counts> = HashMap::new();
        for backend in self.directory.backends().iter() {
            let sum = counts.entry(backend.destination.service.clone()).or_default();
            let one = backend.balancer.counts();
            sum.ready += one.ready;
            sum.ejected += one.ejected;
            sum.probing += one.probing;
        }
        for (service, counts) in &counts {
            show(metrics, service, *counts);
        }
        let mut now: HashSet<_> = counts.into_keys().collect();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = shown.difference(&now).cloned().collect();
        for service in gone {
            if !metrics.forget_destination(&service.namespace, &service.name) {
                show(metrics, &service, Counts::default());
                now.insert(service); // until nobody counts there any more
            }
        }
        *shown = now;
    }
}

fn show(metrics: &Metrics, service: &ServiceName, counts: Counts) {
    let series = metrics.destination(&service.namespace, &service.name);
    series.set_endpoints(EndpointState::Ready, counts.ready);
    series.set_endpoints(EndpointState::Ejected, counts.ejected);
    series.set_endpoints(EndpointState::Probing, counts.probing);
}
