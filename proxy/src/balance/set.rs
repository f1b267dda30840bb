//! The endpoints of a destination at one moment: immutable, replaced whole.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::{Endpoint, EndpointSpec, Settings, endpoint::Shared, warmth::Warmth};
use crate::address::EndpointAddr;

/// Where weights differ, the endpoint that its weight has drawn is kept unless it costs this much more than the other:
/// a strict comparison would undo the shares that the weights ask for.
const TOLERANCE: f64 = 2.0;

#[derive(Debug, Default)]
pub(super) struct Set {
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
        let old: HashMap<EndpointAddr, &Entry> =
            self.entries.iter().map(|entry| (entry.endpoint.addr, entry)).collect();
        let mut seen = HashMap::with_capacity(specs.len());
        let mut weights = Vec::with_capacity(specs.len());
        let mut endpoints = Vec::with_capacity(specs.len());
        for spec in specs {
            if seen.insert(spec.addr, ()).is_some() {
                continue;
            }
            weights.push(u64::from(spec.weight.max(1)));
            endpoints.push(match old.get(&spec.addr) {
                Some(entry) if entry.endpoint.is(&spec) => Arc::clone(&entry.endpoint),
                _ => Arc::new(Endpoint::new(spec, self.warmth_of_new(settings), (settings, shared))),
            });
        }
        let mean = weights.iter().sum::<u64>() as f64 / weights.len().max(1) as f64;
        let shares = weights.iter().map(|weight| *weight as f64 / mean);
        let entries = endpoints.into_iter().zip(shares).map(|(endpoint, share)| Entry { endpoint, share }).collect();
        let equal = weights.windows(2).all(|pair| pair.first() == pair.last());
        Self { entries, sums: if equal { Vec::new() } else { sums(&weights) } }
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
    pub(super) fn prefers_first(&self, first: &Entry, second: &Entry, now: Instant) -> bool {
        let (a, b) = (first.endpoint.cost(first.share, now), second.endpoint.cost(second.share, now));
        let tolerance = if self.sums.is_empty() { 1.0 } else { TOLERANCE };
        if a <= b * tolerance { !yields(first, second, a, now) } else { yields(second, first, b, now) }
    }

    /// Who is there with the first list may have served others for long; who comes later is new.
    fn warmth_of_new(&self, settings: &Settings) -> Warmth {
        if self.entries.is_empty() { Warmth::warm() } else { Warmth::growing(settings.slow_start) }
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
