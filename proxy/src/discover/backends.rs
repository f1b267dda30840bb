//! Backends that are followed, each shared by its own destination and by all routes that name it.

use std::{collections::HashMap, sync::Arc};

use weft_api::{AppProtocol, Destination, Key};

use super::subscriptions::Subscriptions;
use crate::balance::{Backend, EndpointSpec, Locality, Settings};

#[derive(Debug)]
pub(super) struct Backends {
    held: HashMap<Destination, Held>,
    settings: Settings,
}

#[derive(Debug)]
struct Held {
    backend: Arc<Backend>,
    holders: usize,
    /// All of its endpoints, where the locality decides which of them are used.
    everywhere: Option<Vec<EndpointSpec>>,
}

impl Backends {
    pub(super) fn new(settings: Settings) -> Self {
        Self { held: HashMap::new(), settings }
    }

    /// Holds a backend, and subscribes to its endpoints if nobody held it before.
    pub(super) fn hold(
        &mut self,
        destination: &Destination,
        protocol: AppProtocol,
        subscriptions: &mut Subscriptions,
    ) -> Arc<Backend> {
        let held = self.held.entry(destination.clone()).or_insert_with(|| {
            subscriptions.add(Key::Endpoints(destination.clone()));
            let backend = Arc::new(Backend::new(destination.clone(), protocol, self.settings));
            Held { backend, holders: 0, everywhere: None }
        });
        held.holders += 1;
        Arc::clone(&held.backend)
    }

    /// Lets go of a backend. Returns its key when it was the last hold.
    pub(super) fn release(&mut self, destination: &Destination, subscriptions: &mut Subscriptions) -> Option<Key> {
        let held = self.held.get_mut(destination)?;
        held.holders -= 1;
        if held.holders > 0 {
            return None;
        }
        self.held.remove(destination);
        let key = Key::Endpoints(destination.clone());
        subscriptions.remove(&key);
        Some(key)
    }

    /// Takes the whole list of a destination's endpoints, as they are used from here. Whether it is its first.
    pub(super) fn update(&mut self, destination: &Destination, specs: Vec<EndpointSpec>, locality: &Locality) -> bool {
        let Some(held) = self.held.get_mut(destination) else { return false };
        let first = !held.backend.balancer.answered();
        held.everywhere = Locality::matters(&specs).then(|| specs.clone());
        held.backend.balancer.update(locality.near(specs));
        first
    }

    /// The pod's locality is known, or another one.
    pub(super) fn relocate(&mut self, locality: &Locality) {
        for held in self.held.values() {
            if let Some(specs) = &held.everywhere {
                held.backend.balancer.update(locality.near(specs.clone()));
            }
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.held.values().map(|held| &held.backend)
    }
}
