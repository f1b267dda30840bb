//! What waits to be sent on one stream: the latest of each key, in the order in which the keys first came.
//!
//! So a slow subscriber skips what is out of date, and the memory it costs is bounded by what it subscribes to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};
use weft_api::{Key, Version};

use super::topic::Message;

/// Room that is kept where nothing waits: a first picture takes room for hundreds of keys, thousands of times.
const FEW: usize = 8;

/// Messages for one stream.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Slot>,
    waiting: HashMap<Key, Message>,
    /// Sent and not yet said to be applied, and since when.
    unconfirmed: HashMap<Key, (Version, Instant)>,
    sent: u64,
}

enum Slot {
    Key(Key),
    Synced,
}

/// How far a stream is behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lag {
    /// Keys that wait to be sent.
    pub(super) waiting: usize,
    /// Keys whose last version has been sent and not yet been said to be applied.
    pub(super) unconfirmed: Vec<Key>,
    /// Since when the oldest of them is.
    pub(super) since: Option<Instant>,
    /// Messages sent so far.
    pub(super) sent: u64,
}

impl Outbox {
    /// Replaces what waits for this key, or lines it up.
    pub(super) fn put(&self, key: Key, message: Message) {
        let mut state = self.lock();
        if state.waiting.insert(key.clone(), message).is_none() {
            state.queue.push_back(Slot::Key(key));
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Lines up the mark that everything before it was the first picture.
    pub(super) fn put_synced(&self) {
        self.lock().queue.push_back(Slot::Synced);
        self.filled.notify_one();
    }

    /// Forgets a key: it is no longer wanted.
    pub(super) fn forget(&self, key: &Key) {
        let mut state = self.lock();
        state.unconfirmed.remove(key);
        if state.waiting.remove(key).is_some() {
            state.queue.retain(|slot| !matches!(slot, Slot::Key(one) if one == key));
        }
    }

    /// The subscriber acts on this version now.
    pub(super) fn confirm(&self, key: &Key, version: Version) {
        let mut state = self.lock();
        if state.unconfirmed.get(key).is_some_and(|(sent, _)| *sent == version) {
            state.unconfirmed.remove(key);
            if state.unconfirmed.is_empty() {
                state.unconfirmed.shrink_to(FEW);
            }
        }
    }

    /// The next message. Cancel-safe: what is returned is taken, and only that.
    pub(super) async fn next(&self) -> Bytes {
        loop {
            if let Some(bytes) = self.take() {
                return bytes;
            }
            self.filled.notified().await;
        }
    }

    /// How far the stream is behind.
    pub(super) fn lag(&self) -> Lag {
        let state = self.lock();
        Lag {
            waiting: state.waiting.len(),
            unconfirmed: state.unconfirmed.keys().cloned().collect(),
            since: state.unconfirmed.values().map(|(_, since)| *since).min(),
            sent: state.sent,
        }
    }

    /// Since when the oldest update is that was sent and has not been said to be applied.
    pub(super) fn behind_since(&self) -> Option<Instant> {
        self.lock().unconfirmed.values().map(|(_, since)| *since).min()
    }

    fn take(&self) -> Option<Bytes> {
        let mut state = self.lock();
        let slot = state.queue.pop_front()?;
        state.sent += 1;
        let Slot::Key(key) = slot else { return Some(Message::synced()) };
        let message = state.waiting.remove(&key)?;
        if state.queue.is_empty() {
            state.queue.shrink_to(FEW);
            state.waiting.shrink_to(FEW);
        }
        match message.version {
            Some(version) => drop(state.unconfirmed.insert(key, (version, Instant::now()))),
            None => drop(state.unconfirmed.remove(&key)),
        }
        Some(message.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(version: u64) -> Message {
        Message { version: Some(Version(version)), bytes: version.to_string().into() }
    }

    fn key(text: &str) -> Key {
        Key::Service(text.parse().unwrap())
    }

    #[tokio::test]
    async fn only_the_latest_of_each_key_is_sent_in_the_keys_first_order() {
        let outbox = Outbox::default();
        outbox.put(key("a/a"), message(1));
        outbox.put(key("a/b"), message(2));
        outbox.put_synced();
        outbox.put(key("a/a"), message(3));
        assert_eq!(outbox.next().await, "3");
        assert_eq!(outbox.next().await, "2");
        assert_eq!(outbox.next().await, Message::synced());
        assert_eq!(outbox.take(), None);
    }

    #[tokio::test]
    async fn a_key_is_behind_until_its_last_version_is_confirmed() {
        let outbox = Outbox::default();
        outbox.put(key("a/a"), message(1));
        assert_eq!(outbox.lag().waiting, 1);
        outbox.next().await;
        outbox.put(key("a/a"), message(2));
        outbox.next().await;
        outbox.confirm(&key("a/a"), Version(1));
        assert_eq!(outbox.lag().unconfirmed, [key("a/a")]);
        outbox.confirm(&key("a/a"), Version(2));
        assert_eq!((outbox.lag().unconfirmed.len(), outbox.lag().since), (0, None));
    }

    #[tokio::test]
    async fn what_is_forgotten_is_not_sent() {
        let outbox = Outbox::default();
        outbox.put(key("a/a"), message(1));
        outbox.put(key("a/b"), message(2));
        outbox.forget(&key("a/a"));
        assert_eq!(outbox.next().await, "2");
        assert_eq!(outbox.take(), None);
    }
}
