//! What each proxy of the fleet has, and since when: written by the proxies' threads, read by who waits for all of them.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use weft_api::pb;

/// What every proxy of the fleet subscribes to.
pub struct Subscriptions {
    pub keys: Vec<pb::ResourceKey>,
    places: HashMap<pb::ResourceKey, usize>,
    /// The first so many keys are of endpoints, in the order of the Services.
    pub services: usize,
}

/// The fleet's records, one for each proxy.
pub struct Records(Vec<Mutex<Record>>);

/// What one proxy has.
#[derive(Default)]
pub struct Record {
    pub state: State,
    /// Has all that goes to everyone.
    pub synced: bool,
    /// By the key's place; None: not answered yet.
    pub held: Vec<Option<Held>>,
    /// When the last thing of the first picture came.
    pub complete: Option<Instant>,
}

/// How far one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Starting,
    /// Has its certificate.
    Certified,
    /// Has a stream.
    Watching,
    /// Its stream has ended, or never was.
    Dropped(String),
}

/// A version of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub version: u64,
    pub since: Instant,
    /// Only the first proxy of the fleet keeps what endpoints it was told of; the others' versions tell the same.
    pub endpoints: Option<BTreeSet<(SocketAddr, String)>>,
}

impl Subscriptions {
    /// Endpoints and routes of these destinations.
    pub fn new(destinations: &[String]) -> Self {
        let of = |kind: pb::Kind| move |name: &String| pb::ResourceKey { kind: kind.into(), name: name.clone() };
        let endpoints = destinations.iter().map(of(pb::Kind::Endpoints));
        let keys: Vec<_> = endpoints.chain(destinations.iter().map(of(pb::Kind::Routes))).collect();
        let places = keys.iter().cloned().enumerate().map(|(place, key)| (key, place)).collect();
        Self { keys, places, services: destinations.len() }
    }

    pub fn place(&self, key: &pb::ResourceKey) -> Option<usize> {
        self.places.get(key).copied()
    }
}

impl Records {
    pub fn new(proxies: usize, subscriptions: &Subscriptions) -> Self {
        let record = || Record { held: vec![None; subscriptions.keys.len()], ..Record::default() };
        Self((0..proxies).map(|_| Mutex::new(record())).collect())
    }

    pub fn of(&self, proxy: usize) -> MutexGuard<'_, Record> {
        self.0[proxy].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all records are so; those of dropped proxies do not count.
    pub fn all(&self, is: impl Fn(&Record) -> bool) -> bool {
        (0..self.0.len()).all(|proxy| {
            let record = self.of(proxy);
            matches!(record.state, State::Dropped(_)) || is(&record)
        })
    }

    /// How many were dropped, and why the first of them.
    pub fn dropped(&self) -> (usize, Option<String>) {
        let reasons = (0..self.0.len()).filter_map(|proxy| match &self.of(proxy).state {
            State::Dropped(reason) => Some(reason.clone()),
            State::Starting | State::Certified | State::Watching => None,
        });
        let reasons: Vec<_> = reasons.collect();
        (reasons.len(), reasons.into_iter().next())
    }

    /// The last of these moments.
    pub fn last(&self, of: impl Fn(&Record) -> Option<Instant>) -> Option<Instant> {
        (0..self.0.len()).filter_map(|proxy| of(&self.of(proxy))).max()
    }
}

impl Record {
    /// Takes what came for a key.
    pub fn hold(&mut self, place: usize, held: Held) {
        let since = held.since;
        if let Some(known) = self.held.get_mut(place) {
            *known = Some(held);
        }
        self.look(since);
    }

    /// Everything that goes to everyone has come.
    pub fn sync(&mut self, now: Instant) {
        self.synced = true;
        self.look(now);
    }

    fn look(&mut self, now: Instant) {
        if self.complete.is_none() && self.synced && self.held.iter().all(Option::is_some) {
            self.complete = Some(now);
        }
    }

    /// The versions of the first so many keys.
    pub fn versions(&self, count: usize) -> impl Iterator<Item = Option<u64>> {
        self.held.iter().take(count).map(|held| held.as_ref().map(|held| held.version))
    }
}
