//! Between a registry and the hub: changes are gathered while those before them are still being told.
//!
//! A change in a quiet mesh is told at once. In a storm, such as a rollout under thousands of proxies, telling each change
//! for itself would cost more than it is worth: a message by itself costs its reader and its writer a system call each, and
//! the next change makes it obsolete. So the more was lined up, the longer the next batch is gathered.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::{
    index::{Object, ObjectKey},
    registry::Event,
};

/// What an update to one proxy costs when it is told by itself, here and where it is read: `weft-bench fleet` has measured it.
/// Told together with others it is a tenth of that.
const UPDATE: Duration = Duration::from_micros(50);
/// The longest that a change waits. Endpoints that are ready, or are ending, must be known everywhere within a second.
const LONGEST: Duration = Duration::from_millis(250);

/// Gathers a registry's changes and feeds them to the hub.
#[derive(Default)]
pub struct Feed {
    gathered: Mutex<Gathered>,
    filled: Notify,
}

/// The last that is known of each object: bounded by how many there are.
#[derive(Default)]
struct Gathered {
    reset: Option<Vec<Object>>,
    changes: BTreeMap<ObjectKey, Event>,
}

impl Feed {
    /// Takes changes. Never waits.
    pub fn put(&self, events: Vec<Event>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        events.into_iter().for_each(|event| gathered.put(event));
        drop(gathered);
        self.filled.notify_one();
    }

    /// Feeds the hub until it is stopped.
    ///
    /// # Errors
    /// None.
    pub async fn run(self: Arc<Self>, hub: Arc<Hub>, stop: CancellationToken) -> Result<(), Infallible> {
        let feeding = async {
            loop {
                let updates = hub.change(self.next().await);
                sleep(pause_after(updates)).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            never = feeding => never,
        }
    }

    /// All that has come. Cancel-safe.
    async fn next(&self) -> Vec<Event> {
        loop {
            let events = self.gathered.lock().unwrap_or_else(PoisonError::into_inner).take();
            if !events.is_empty() {
                return events;
            }
            self.filled.notified().await;
        }
    }
}

impl Gathered {
    fn put(&mut self, event: Event) {
        match event {
            Event::Apply(ref object) => drop(self.changes.insert(object.key(), event)),
            Event::Delete(ref key) => drop(self.changes.insert(key.clone(), event)),
            Event::Reset(objects) => {
                self.changes.clear();
                self.reset = Some(objects);
            }
        }
    }

    fn take(&mut self) -> Vec<Event> {
        let reset = self.reset.take().map(Event::Reset);
        reset.into_iter().chain(std::mem::take(&mut self.changes).into_values()).collect()
    }
}

/// As long as it takes to tell what has been lined up.
fn pause_after(updates: usize) -> Duration {
    u32::try_from(updates).map_or(LONGEST, |updates| LONGEST.min(UPDATE.saturating_mul(updates)))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use weft_certs::{Root, TrustBundle, Validity};

    use super::*;
    use crate::{
        fixture::{SHOP, mesh, objects},
        identity::Trust,
        index::Index,
        serve::HubSettings,
        telemetry::Metrics,
    };

    #[test]
    fn of_what_is_gathered_the_last_of_each_object_counts_and_a_reset_undoes_what_was_before() {
        let shop = objects(SHOP);
        let (first, second) = (shop[0].clone(), shop[1].clone());
        let feed = Feed::default();
        feed.put(vec![Event::Apply(second.clone()), Event::Reset(vec![first.clone()])]);
        feed.put(vec![Event::Apply(second.clone()), Event::Delete(first.key()), Event::Delete(second.key())]);
        let mut gathered = feed.gathered.lock().unwrap();
        let events = gathered.take();
        assert_eq!(events[0], Event::Reset(vec![first.clone()]));
        assert_eq!(events.len(), 3);
        assert!(events.contains(&Event::Delete(first.key())) && events.contains(&Event::Delete(second.key())));
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn the_pause_grows_with_what_was_lined_up_and_has_an_end() {
        assert_eq!(pause_after(0), Duration::ZERO);
        assert_eq!(pause_after(20), Duration::from_millis(1));
        assert_eq!(pause_after(2_000), Duration::from_millis(100));
        assert_eq!(pause_after(usize::MAX), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_in_a_quiet_mesh_reaches_the_hub_at_once() {
        let validity = Validity::lasting(SystemTime::now(), Duration::from_secs(60));
        let bundle = TrustBundle::new([Root::generate(validity).unwrap().certificate().clone()]).unwrap();
        let trust = Trust { bundle, issuer: "".into() };
        let settings = HubSettings { mesh: mesh(), trust, max_subscriptions: 1 };
        let hub = Hub::new(settings, Arc::new(Metrics::new().unwrap()));
        let feed = Arc::new(Feed::default());
        let running = feed.clone().run(hub.clone(), CancellationToken::new());
        let fed = async {
            feed.put(vec![Event::Reset(objects(SHOP))]);
            hub.synced().await;
        };
        let began = tokio::time::Instant::now();
        tokio::select! { _ = running => panic!("it ends"), () = fed => {} }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_ne!(hub.lock().world.index, Index::default());
    }
}
