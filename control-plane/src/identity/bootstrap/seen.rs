//! What a watch has told so far, by namespace.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use kube::runtime::watcher::{self, Event};
use tracing::warn;

use crate::error::chain;

/// Objects of a watch. A new list replaces the old one when it is complete.
pub(super) struct Seen<T> {
    now: BTreeMap<Arc<str>, T>,
    coming: BTreeMap<Arc<str>, T>,
    is_complete: bool,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), coming: BTreeMap::new(), is_complete: false }
    }
}

impl<T> Seen<T> {
    /// All that is there. None: not all of it is known yet.
    pub(super) fn all(&self) -> Option<&Self> {
        self.is_complete.then_some(self)
    }

    pub(super) fn get(&self, namespace: &str) -> Option<&T> {
        self.now.get(namespace)
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &Arc<str>> {
        self.now.keys()
    }

    /// This is there now, though no event has told of it yet.
    pub(super) fn put(&mut self, namespace: &Arc<str>, one: T) {
        self.now.insert(namespace.clone(), one);
    }

    /// It is gone now, though no event has told of it yet.
    pub(super) fn remove(&mut self, namespace: &str) {
        self.now.remove(namespace);
    }

    /// Takes an event. `read`: an object's namespace and what counts of it; None: it counts as gone.
    pub(super) fn take<K>(&mut self, event: watcher::Result<Event<K>>, read: impl Fn(&K) -> Option<(Arc<str>, T)>)
    where
        K: kube::ResourceExt + Debug,
    {
        match event {
            Ok(Event::Init) => self.coming.clear(),
            Ok(Event::InitApply(object)) => self.coming.extend(read(&object)),
            Ok(Event::InitDone) => {
                self.now = std::mem::take(&mut self.coming);
                self.is_complete = true;
            }
            Ok(Event::Apply(object)) => match read(&object) {
                Some((namespace, one)) => drop(self.now.insert(namespace, one)),
                None => self.remove(&place(&object)),
            },
            Ok(Event::Delete(object)) => self.remove(&place(&object)),
            Err(error) => warn!(error = chain(&error), "a watch for the trust bundle's ConfigMaps began anew"),
        }
    }
}

/// A namespace is named by itself, everything else by the namespace that it is in.
fn place<K: kube::ResourceExt>(object: &K) -> String {
    object.namespace().unwrap_or_else(|| object.name_any())
}
