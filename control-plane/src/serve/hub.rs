//! The hub: the index, what has been resolved of it, and who has subscribed to what.
//!
//! One lock guards all of it, held for as long as a change takes to be resolved and lined up, and never across an await.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::SystemTime,
};

use tokio::{sync::watch, time::Instant};
use weft_api::{Key, ServiceName, Version, pb};

use super::{
    outbox::Outbox,
    subscriber::{Subscriber, TooManySubscriptions},
    topic::{Message, Topic, World, touched},
};
use crate::{
    identity::{KnownPod, Trust},
    index::{Affected, Index, Namespaces, ObjectName, Service},
    registry::Event,
    resolve::Mesh,
    telemetry::Metrics,
};

/// What the hub goes by.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// What settings say of the mesh.
    pub mesh: Mesh,
    /// Whom the mesh trusts at the start, and who signs.
    pub trust: Trust,
    /// Subscriptions that one stream may have.
    pub max_subscriptions: usize,
}

/// What a Service has for routes to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// It has no ClusterIP: its clients go to the pod that they have called.
    pub is_headless: bool,
    /// Its TCP ports.
    pub ports: BTreeSet<u16>,
}

/// Resolves changes and hands them to subscribers.
pub struct Hub {
    pub(super) state: Mutex<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) max_subscriptions: usize,
    synced: watch::Sender<bool>,
    meshed: watch::Sender<Option<Namespaces>>,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) topics: BTreeMap<Topic, Entry>,
    pub(super) streams: HashMap<u64, Arc<Stream>>,
    next_stream: u64,
}

/// A live topic: one for everyone, or one that somebody has subscribed to.
pub(super) struct Entry {
    pub(super) message: Message,
    pub(super) subscribers: HashSet<u64>,
}

/// A proxy's stream, as the hub and whoever asks for a picture see it.
pub(super) struct Stream {
    pub(super) pod: ObjectName,
    pub(super) proxy_version: String,
    pub(super) since: Instant,
    pub(super) outbox: Outbox,
    pub(super) subscriptions: AtomicUsize,
    pub(super) report: Mutex<Option<(pb::Report, SystemTime)>>,
}

impl Hub {
    /// A hub that knows of nothing yet.
    pub fn new(settings: HubSettings, metrics: Arc<Metrics>) -> Arc<Self> {
        let world = World { index: Index::default(), mesh: settings.mesh, trust: settings.trust };
        let state = State { world, topics: BTreeMap::new(), streams: HashMap::new(), next_stream: 0 };
        let hub = Self {
            state: Mutex::new(state),
            metrics,
            max_subscriptions: settings.max_subscriptions,
            synced: watch::channel(false).0,
            meshed: watch::channel(None).0,
        };
        hub.publish(&mut hub.lock(), [Topic::Cluster, Topic::TrustBundle]);
        Arc::new(hub)
    }

    /// Takes a batch of a registry's changes, and tells subscribers of what comes of them. Returns how many updates that was.
    pub fn change(&self, events: Vec<Event>) -> usize {
        let mut state = self.lock();
        let mut affected = Affected::default();
        let mut reset = false;
        for event in events {
            match event {
                Event::Apply(object) => state.world.index.apply(object, &mut affected),
                Event::Delete(key) => state.world.index.delete(&key, &mut affected),
                Event::Reset(objects) => {
                    state.world.index.reset(objects, &mut affected);
                    reset = true;
                }
            }
        }
        let topics = touched(&affected, &state.topics);
        let updates = self.publish(&mut state, topics);
        self.metrics.objects(&state.world.index);
        let meshed = (reset || affected.meshed).then(|| state.world.index.meshed_namespaces());
        drop(state);
        if reset {
            self.synced.send_replace(true);
        }
        if self.is_synced() && meshed.is_some() {
            self.meshed.send_if_modified(|known| std::mem::replace(known, meshed.clone()) != meshed);
        }
        updates
    }

    /// Tells everyone whom to trust from now on, and who signs.
    pub fn trust(&self, trust: Trust) {
        let mut state = self.lock();
        state.world.trust = trust;
        self.publish(&mut state, [Topic::TrustBundle]);
    }

    /// Namespaces with a pod that has a sidecar, or asks for one. None: not all pods are known yet.
    pub fn meshed_namespaces(&self) -> watch::Receiver<Option<Namespaces>> {
        self.meshed.subscribe()
    }

    /// Whether a registry has told of all that is there.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until a registry has told of all that is there.
    pub async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives as long as `self`.
        let _known = synced.wait_for(|synced| *synced).await;
    }

    /// What tells a pod from others of its name, and its addresses, if the pod is known.
    pub fn known_pod(&self, pod: &ObjectName) -> Option<KnownPod> {
        let state = self.lock();
        let pod = state.world.index.pod(pod)?;
        Some(KnownPod { uid: pod.uid.to_string(), addresses: pod.addresses.clone() })
    }

    /// What every Service has for routes to name.
    pub fn services(&self) -> BTreeMap<ServiceName, RouteTarget> {
        let target = |service: &Service| RouteTarget {
            is_headless: service.addresses.is_empty(),
            ports: service.ports.iter().map(|port| port.port).collect(),
        };
        self.lock().world.index.services().map(|service| (service.name.clone(), target(service))).collect()
    }

    /// The service account of a pod, if the pod is known.
    pub(super) fn service_account(&self, pod: &ObjectName) -> Option<String> {
        Some(self.lock().world.index.pod(pod)?.service_account.clone())
    }

    /// Begins a stream: lines up what everyone gets, less what the proxy says that it has.
    pub(super) fn join(
        self: &Arc<Self>,
        pod: ObjectName,
        proxy_version: String,
        have: Vec<(Key, Version)>,
    ) -> Result<Subscriber, TooManySubscriptions> {
        let stream = Arc::new(Stream {
            pod: pod.clone(),
            proxy_version,
            since: Instant::now(),
            outbox: Outbox::default(),
            subscriptions: AtomicUsize::new(0),
            report: Mutex::default(),
        });
        let have: HashMap<Key, Version> = have.into_iter().collect();
        let mut state = self.lock();
        let id = state.next_stream;
        state.next_stream += 1;
        state.streams.insert(id, stream.clone());
        self.metrics.streams.set(i64::try_from(state.streams.len()).unwrap_or(i64::MAX));
        let everyone = state.topics.iter().take_while(|(topic, _)| topic.is_for_everyone());
        for (topic, entry) in everyone {
            offer(&stream.outbox, &topic.key(), &entry.message, &have);
        }
        for key in have.keys() {
            if let Key::Service(name) = key
                && !state.topics.contains_key(&Topic::Service(name.clone()))
            {
                stream.outbox.put(key.clone(), Message::removed(key));
            }
        }
        drop(state);
        let mut subscriber = Subscriber::new(self.clone(), id, stream);
        subscriber.enter(Topic::Inbound(pod), &have);
        subscriber.put_synced();
        subscriber.subscribe_having(have.keys().cloned().collect(), &have)?;
        Ok(subscriber)
    }

    /// Resolves these topics again. What is the same as before is told to nobody. Returns how many updates were lined up.
    fn publish(&self, state: &mut State, topics: impl IntoIterator<Item = Topic>) -> usize {
        let mut updates = 0;
        for topic in topics {
            let message = self.resolved(&topic, &state.world);
            let known = state.topics.get(&topic).and_then(|entry| entry.message.version);
            if known == message.version {
                continue;
            }
            if topic.is_for_everyone() {
                updates += self.tell(state.streams.values(), &topic, &message);
            } else if let Some(entry) = state.topics.get(&topic) {
                updates += self.tell(entry.subscribers.iter().filter_map(|id| state.streams.get(id)), &topic, &message);
            }
            if topic.is_for_everyone() && message.version.is_none() {
                state.topics.remove(&topic);
            } else if let Some(entry) = state.topics.get_mut(&topic) {
                entry.message = message;
            } else if topic.is_for_everyone() {
                state.topics.insert(topic, Entry { message, subscribers: HashSet::new() });
            }
        }
        updates
    }

    fn tell<'a>(&self, streams: impl Iterator<Item = &'a Arc<Stream>>, topic: &Topic, message: &Message) -> usize {
        let lined_up = streams.map(|stream| stream.outbox.put(topic.key(), message.clone())).count();
        self.metrics.updates(topic.label()).inc_by(lined_up as u64);
        lined_up
    }

    pub(super) fn resolved(&self, topic: &Topic, world: &World) -> Message {
        let began = Instant::now();
        let message = topic.message(world);
        self.metrics.resolved(topic.label(), began.elapsed());
        message
    }

    /// Reads the index as it is now. `read` holds up changes: it is to be short.
    pub fn with_index<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.lock().world.index)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines a message up unless the subscriber has that version.
pub(super) fn offer(outbox: &Outbox, key: &Key, message: &Message, have: &HashMap<Key, Version>) {
    if message.version.is_none() || have.get(key).copied() != message.version {
        outbox.put(key.clone(), message.clone());
    }
}
