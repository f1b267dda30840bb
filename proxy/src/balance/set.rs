//! The endpoints of a destination at one moment: immutable, replaced whole.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Endpoint, EndpointSpec, Settings,
    choice::Choice,
    endpoint::Shared,
    sample::{Pair, sample},
    warmth::Warmth,
};
use crate::address::EndpointAddr;

/// Where weights differ, the endpoint that its weight has drawn is kept unless it costs this much more than the other:
/// a strict comparison would undo the shares that the weights ask for.
const TOLERANCE: f64 = 2.0;

/// The far ones are asked when they cost less than a third of those nearby, counting at least the latency that unknown
/// endpoints are taken to have: nobody gains by leaving the zone for less.
const SPILL: f64 = 3.0;

#[derive(Debug, Default)]
pub(super) struct Set {
    /// Where requests go.
    pub(super) near: Group,
    /// Where they go when those nearby are short or slow.
    pub(super) far: Group,
}

/// Endpoints among which requests are balanced.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    /// Sums of the weights up to and with each entry; empty when all weigh the same.
    sums: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) endpoint: Arc<Endpoint>,
    /// Its weight relative to the mean weight.
    pub(super) share: f64,
}

impl Set {
    /// The set that these specs make; who stays keeps its figures. Of doubles the first counts.
    pub(super) fn follow(&self, specs: Vec<EndpointSpec>, settings: &Settings, shared: &Shared) -> Self {
        let old: HashMap<EndpointAddr, &Entry> = self.entries().map(|entry| (entry.endpoint.addr, entry)).collect();
        let mut seen = HashSet::with_capacity(specs.len());
        let (mut near, mut far) = (Vec::with_capacity(specs.len()), Vec::new());
        for spec in specs {
            if !seen.insert(spec.addr) {
                continue;
            }
            let (weight, group) = (spec.weight.max(1), if spec.far { &mut far } else { &mut near });
            let endpoint = match old.get(&spec.addr) {
                Some(entry) if entry.endpoint.is(&spec) => Arc::clone(&entry.endpoint),
                _ => Arc::new(Endpoint::new(spec, self.warmth_of_new(settings), (settings, shared))),
            };
            group.push((endpoint, weight));
        }
        Self { near: Group::new(near), far: Group::new(far) }
    }

    /// All of them, those nearby first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.near.entries.iter().chain(&self.far.entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.near.entries.is_empty() && self.far.entries.is_empty()
    }

    /// Who is there with the first list may have served others for long; who comes later is new.
    fn warmth_of_new(&self, settings: &Settings) -> Warmth {
        if self.is_empty() { Warmth::warm() } else { Warmth::growing(settings.slow_start) }
    }
}

impl Entry {
    /// Whether this far endpoint is to be taken although one nearby takes requests: that one is slow, or has too many.
    pub(super) fn takes_over(&self, near: &Self, default_rtt: Duration, now: Instant) -> bool {
        let least = default_rtt.as_nanos() as f64;
        near.endpoint.cost(near.share, now) > SPILL * self.endpoint.cost(self.share, now).max(least)
    }
}

/// Up to two endpoints, the one to be taken first.
pub(super) type Drawn<'a> = [Option<&'a Entry>; 2];

impl Group {
    fn new(members: Vec<(Arc<Endpoint>, u32)>) -> Self {
        let (endpoints, weights): (Vec<_>, Vec<_>) =
            members.into_iter().map(|(endpoint, weight)| (endpoint, u64::from(weight))).unzip();
        let mean = weights.iter().sum::<u64>() as f64 / weights.len().max(1) as f64;
        let shares = weights.iter().map(|weight| *weight as f64 / mean);
        let entries = endpoints.into_iter().zip(shares).map(|(endpoint, share)| Entry { endpoint, share }).collect();
        let equal = weights.windows(2).all(|pair| pair.first() == pair.last());
        Self { entries, sums: if equal { Vec::new() } else { sums(&weights) } }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Two that take requests. Two by chance are all that is needed while none is ejected.
    pub(super) fn admitted(&self, skip: &[u64], now: Instant) -> Drawn<'_> {
        let fit = |index: usize| {
            let entry = self.entries.get(index)?;
            Choice::Admitted.admits(&entry.endpoint, skip, now).then_some(entry)
        };
        match self.two_by_chance().map(|(first, second)| (fit(first), fit(second))) {
            Some((Some(first), Some(second))) => self.ordered(Pair::Two(first, second), now),
            _ => self.draw(Choice::Admitted, skip, now),
        }
    }

    /// Two by chance of those that come into question.
    pub(super) fn draw(&self, choice: Choice, skip: &[u64], now: Instant) -> Drawn<'_> {
        let pair = sample(self.entries.iter().filter(|entry| choice.admits(&entry.endpoint, skip, now)));
        self.ordered(pair, now)
    }

    fn ordered<'a>(&self, pair: Pair<'a>, now: Instant) -> Drawn<'a> {
        match pair {
            Pair::None => [None, None],
            Pair::One(only) => [Some(only), None],
            Pair::Two(first, second) if self.prefers_first(first, second, now) => [Some(first), Some(second)],
            Pair::Two(first, second) => [Some(second), Some(first)],
        }
    }

    /// Two distinct indices by chance, the first by weight; None when there are not two. The second is any other: to
    /// draw again until they differ would take from the heavy ones what their weight gave them.
    pub(super) fn two_by_chance(&self) -> Option<(usize, usize)> {
        let count = self.entries.len();
        if count < 2 {
            return None;
        }
        let first = match self.sums.last() {
            None => fastrand::usize(..count),
            Some(total) => {
                let point = fastrand::u64(..*total);
                self.sums.partition_point(|sum| *sum <= point)
            }
        };
        let second = fastrand::usize(..count - 1);
        Some((first, if second >= first { second + 1 } else { second }))
    }

    /// Whether the first of two drawn entries is to be taken.
    fn prefers_first(&self, first: &Entry, second: &Entry, now: Instant) -> bool {
        let (a, b) = (first.endpoint.cost(first.share, now), second.endpoint.cost(second.share, now));
        let tolerance = if self.sums.is_empty() { 1.0 } else { TOLERANCE };
        if a <= b * tolerance { !yields(first, second, a, now) } else { yields(second, first, b, now) }
    }
}

/// Whether the better of two gives its turn to the other, because it is the colder one and has had its part of the turns.
/// Its first request of all, which costs nothing, it gives to nobody.
fn yields(better: &Entry, other: &Entry, cost: f64, now: Instant) -> bool {
    let part = |entry: &Entry| entry.endpoint.warmth.part(entry.endpoint.clock(now));
    let turns = part(better) / part(other);
    cost > 0.0 && turns < 1.0 && fastrand::f64() >= turns
}

fn sums(weights: &[u64]) -> Vec<u64> {
    weights
        .iter()
        .scan(0_u64, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
