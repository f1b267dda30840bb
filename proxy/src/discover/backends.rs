//! Backends that are followed, each shared by its own destination and by all routes that name it.

use std::{collections::HashMap, sync::Arc};

use weft_api::{AppProtocol, Destination, Key};

use super::subscriptions::Subscriptions;
use crate::balance::{Backend, Settings};

#[derive(Debug)]
pub(super) struct Backends {
    held: HashMap<Destination, Held>,
    settings: Settings,
}

#[derive(Debug)]
struct Held {
    backend: Arc<Backend>,
    holders: usize,
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
            Held { backend: Arc::new(Backend::new(destination.clone(), protocol, self.settings)), holders: 0 }
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

    pub(super) fn find(&self, destination: &Destination) -> Option<&Arc<Backend>> {
        self.held.get(destination).map(|held| &held.backend)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.held.values().map(|held| &held.backend)
    }
}
