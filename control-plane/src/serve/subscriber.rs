//! One stream's place in the hub: what it has subscribed to, and what it says of itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::SystemTime,
};

use bytes::Bytes;
use weft_api::{Key, Version, pb};

use super::{
    hub::{Entry, Hub, State, Stream, offer},
    topic::Topic,
};

/// A subscription above a stream's limit.
#[derive(Debug, thiserror::Error)]
#[error("a stream may have {limit} subscriptions and no more")]
pub struct TooManySubscriptions {
    /// The limit.
    pub limit: usize,
}

/// One stream's place in the hub; it leaves when it is dropped.
pub struct Subscriber {
    hub: Arc<Hub>,
    id: u64,
    stream: Arc<Stream>,
    topics: HashSet<Topic>,
}

impl Subscriber {
    pub(super) fn new(hub: Arc<Hub>, id: u64, stream: Arc<Stream>) -> Self {
        Self { hub, id, stream, topics: HashSet::new() }
    }

    /// Lines up the mark that everything before it was the first picture.
    pub(super) fn put_synced(&self) {
        self.stream.outbox.put_synced();
    }

    /// Subscribes to keys; each is answered, also when nothing is behind it.
    ///
    /// # Errors
    /// The stream has more than it may have.
    pub fn subscribe(&mut self, keys: Vec<Key>) -> Result<(), TooManySubscriptions> {
        self.subscribe_having(keys, &HashMap::new())
    }

    /// Gives up subscriptions.
    pub fn unsubscribe(&mut self, keys: Vec<Key>) {
        for key in keys {
            let Some(topic) = Topic::subscribed(key, &self.stream.pod.namespace) else { continue };
            if self.topics.remove(&topic) {
                leave(&mut self.hub.lock(), self.id, &topic);
                self.stream.outbox.forget(&topic.key());
            }
        }
        self.count();
    }

    /// The proxy acts on these versions now.
    pub fn applied(&self, versions: impl Iterator<Item = (Key, Version)>) {
        versions.for_each(|(key, version)| self.stream.outbox.confirm(&key, version));
    }

    /// What the proxy trusts and is known by.
    pub fn report(&self, report: pb::Report) {
        *self.stream.report.lock().unwrap_or_else(PoisonError::into_inner) = Some((report, SystemTime::now()));
    }

    /// The next message to send. Cancel-safe.
    pub async fn next(&self) -> Bytes {
        self.stream.outbox.next().await
    }

    pub(super) fn subscribe_having(
        &mut self,
        keys: Vec<Key>,
        have: &HashMap<Key, Version>,
    ) -> Result<(), TooManySubscriptions> {
        for key in keys {
            let Some(topic) = Topic::subscribed(key, &self.stream.pod.namespace) else { continue };
            let limit = self.hub.max_subscriptions;
            // Its own inbound policy is one that it has not asked for.
            if self.topics.len() > limit && !self.topics.contains(&topic) {
                return Err(TooManySubscriptions { limit });
            }
            self.enter(topic, have);
        }
        self.count();
        Ok(())
    }

    /// Asking again for what one has gets the answer again.
    pub(super) fn enter(&mut self, topic: Topic, have: &HashMap<Key, Version>) {
        let mut state = self.hub.lock();
        let State { world, topics, .. } = &mut *state;
        // The one that is there shares its names with all its subscribers.
        let topic = topics.get_key_value(&topic).map_or(topic, |(known, _)| known.clone());
        let new = || Entry { message: self.hub.resolved(&topic, world), subscribers: HashSet::new() };
        let entry = topics.entry(topic.clone()).or_insert_with(new);
        entry.subscribers.insert(self.id);
        offer(&self.stream.outbox, &topic.key(), &entry.message, have);
        drop(state);
        self.topics.insert(topic);
    }

    fn count(&self) {
        self.stream.subscriptions.store(self.topics.len(), Ordering::Relaxed);
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        for topic in &self.topics {
            leave(&mut state, self.id, topic);
        }
        state.streams.remove(&self.id);
        self.hub.metrics.streams.set(i64::try_from(state.streams.len()).unwrap_or(i64::MAX));
    }
}

/// A topic that nobody wants any more is not resolved any more.
fn leave(state: &mut State, id: u64, topic: &Topic) {
    let Some(entry) = state.topics.get_mut(topic) else { return };
    entry.subscribers.remove(&id);
    if entry.subscribers.is_empty() {
        state.topics.remove(topic);
    }
}
