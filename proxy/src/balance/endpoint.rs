//! One endpoint of one destination, with the figures that all workers share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use weft_api::EndpointView;
use weft_certs::{SpiffeId, SpiffeIdError};

use super::{
    Settings,
    breaker::{Admission, Breaker, Standing},
    load::Latency,
    warmth::Warmth,
    window::Window,
};
use crate::address::EndpointAddr;

/// What discovery says about an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    /// Where it is, with the app's port.
    pub addr: EndpointAddr,
    /// Whom it must prove to be; None: it is not meshed and gets plaintext.
    pub identity: Option<SpiffeId>,
    /// Its share relative to the others', at least 1.
    pub weight: u32,
    /// Its topology zone, or empty.
    pub zone: Arc<str>,
    /// The node that it runs on, or empty.
    pub node: Arc<str>,
    /// Zones whose clients should use it; none: all.
    pub zone_hints: Vec<String>,
    /// Nodes whose clients should use it; none: all.
    pub node_hints: Vec<String>,
    /// It serves until it ends: only for when no other endpoint does.
    pub terminating: bool,
    /// Only clients of its own node may use it.
    pub node_local: bool,
    /// `namespace/name` of the pod, or empty.
    pub pod: Arc<str>,
    /// Another zone's: for when those nearby are short or slow. Decided by [`Locality`](super::Locality).
    pub far: bool,
}

impl TryFrom<EndpointView> for EndpointSpec {
    type Error = SpiffeIdError;

    fn try_from(view: EndpointView) -> Result<Self, SpiffeIdError> {
        Ok(Self {
            addr: EndpointAddr(view.address),
            identity: view.identity.map(|text| text.parse()).transpose()?,
            weight: view.weight.max(1),
            zone: view.zone.into(),
            node: view.node.into(),
            zone_hints: view.zone_hints,
            node_hints: view.node_hints,
            terminating: view.terminating,
            node_local: view.node_local,
            pod: view.pod.into(),
            far: false,
        })
    }
}

/// An endpoint. Aligned so that two endpoints' figures never share a cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Endpoint {
    /// Unique in this process: another pod at the same address has another.
    pub id: u64,
    /// Where it is, with the app's port.
    pub addr: EndpointAddr,
    /// Whom it must prove to be; None: it is not meshed and gets plaintext.
    pub identity: Option<SpiffeId>,
    /// Its topology zone, or empty.
    pub zone: Arc<str>,
    /// `namespace/name` of the pod, or empty.
    pub pod: Arc<str>,
    pub(super) in_flight: AtomicU32,
    pub(super) latency: Latency,
    pub(super) breaker: Breaker,
    pub(super) warmth: Warmth,
    epoch: Instant,
    /// The balancer's, to wake who waits for an endpoint.
    updates: watch::Sender<u64>,
}

/// What a balancer's endpoints have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// What their clocks count from.
    pub(super) epoch: Instant,
    /// Counts updates and ends of probes, and wakes who waits for an endpoint.
    pub(super) updates: watch::Sender<u64>,
    /// The answers of all.
    pub(super) answers: Arc<Window>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Endpoint {
    pub(super) fn new(spec: EndpointSpec, warmth: Warmth, (settings, shared): (&Settings, &Shared)) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            addr: spec.addr,
            identity: spec.identity,
            zone: spec.zone,
            pod: spec.pod,
            in_flight: AtomicU32::new(0),
            latency: Latency::new(settings.load),
            breaker: Breaker::new(settings.breaker, Arc::clone(&shared.answers)),
            warmth,
            epoch: shared.epoch,
            updates: shared.updates.clone(),
        }
    }

    /// How many requests or connections are in flight to it, from all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The estimate of its latency.
    pub fn latency(&self) -> Duration {
        Duration::from_nanos(self.latency.estimate(self.clock(Instant::now())) as u64)
    }

    /// Whether the same pod is meant.
    pub(super) fn is(&self, spec: &EndpointSpec) -> bool {
        self.addr == spec.addr && self.identity == spec.identity && self.pod == spec.pod
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        self.breaker.standing(self.clock(now))
    }

    /// What another request would cost here; `share` is its weight relative to the mean.
    ///
    /// Nothing, where nobody knows yet how quick the endpoint is and nobody is finding out: a new pod would else wait for
    /// its first request until the others are slower than the default.
    pub(super) fn cost(&self, share: f64, now: Instant) -> f64 {
        let in_flight = self.in_flight();
        if in_flight == 0 && !self.latency.known() {
            return 0.0;
        }
        self.latency.estimate(self.clock(now)) * (1.0 + f64::from(in_flight) / share)
    }

    /// A request is over. If it was a probe, who waits for an endpoint looks again.
    pub(super) fn release(&self, admission: Admission) {
        self.in_flight.fetch_sub(1, Relaxed);
        self.breaker.release(admission);
        if admission == Admission::Probe {
            self.updates.send_modify(|count| *count += 1);
        }
    }

    /// Time since the epoch.
    pub(super) fn clock(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
}
