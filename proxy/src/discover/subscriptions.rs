//! Which keys are subscribed, and what of that the control plane has not been told yet.

use std::collections::BTreeSet;

use weft_api::Key;

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    keys: BTreeSet<Key>,
    subscribe: BTreeSet<Key>,
    unsubscribe: BTreeSet<Key>,
}

impl Subscriptions {
    pub(super) fn add(&mut self, key: Key) {
        if self.keys.insert(key.clone()) {
            self.subscribe.insert(key);
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if self.keys.remove(key) && !self.subscribe.remove(key) {
            self.unsubscribe.insert(key.clone());
        }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// A new stream begins: all is to be told anew, but for what its Hello names.
    pub(super) fn begin(&mut self, named: impl Fn(&Key) -> bool) {
        self.subscribe = self.keys.iter().filter(|key| !named(key)).cloned().collect();
        self.unsubscribe.clear();
    }

    /// What is to be subscribed, after [`Self::take_old`]: what was dropped and is wanted again must be sent again.
    pub(super) fn take_new(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.subscribe)
    }

    /// What is to be unsubscribed.
    pub(super) fn take_old(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.unsubscribe)
    }

    pub(super) fn told(&self) -> bool {
        self.subscribe.is_empty() && self.unsubscribe.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        Key::Endpoints(format!("shop/users:{port}").parse().unwrap())
    }

    #[test]
    fn what_was_never_told_is_not_taken_back() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(key(1));
        subscriptions.add(key(2));
        subscriptions.remove(&key(2));
        assert_eq!(subscriptions.take_new(), BTreeSet::from([key(1)]));
        assert!(subscriptions.told());
    }

    #[test]
    fn what_is_dropped_and_wanted_again_is_sent_again() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.add(key(1));
        subscriptions.take_new();
        subscriptions.remove(&key(1));
        subscriptions.add(key(1));
        assert_eq!(subscriptions.take_old(), BTreeSet::from([key(1)]));
        assert_eq!(subscriptions.take_new(), BTreeSet::from([key(1)]));
    }

    #[test]
    fn a_new_stream_is_told_what_its_hello_does_not_name() {
        let mut subscriptions = Subscriptions::default();
        (1..4).for_each(|port| subscriptions.add(key(port)));
        subscriptions.take_new();
        subscriptions.remove(&key(3));
        subscriptions.begin(|named| *named == key(1));
        assert_eq!(subscriptions.take_new(), BTreeSet::from([key(2)]));
        assert!(subscriptions.take_old().is_empty());
    }
}
