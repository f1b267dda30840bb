//! Choose an endpoint for a request or a connection (outbound step 4).
//!
//! Power of two choices over peak-EWMA latency and what is in flight. An [`Endpoint`]'s figures are atomics that all
//! workers share, so that they balance on one picture; a pick takes no lock. Does not connect (`endpoint/`), does not
//! decide on retries (`retry/`), does not know where endpoints come from (`discover/`).
//!
//! Which endpoints are used from this pod's node and zone is settled before ([`Locality`]). One that comes later than the
//! others warms up first ([`warmth`]).

mod backend;
mod breaker;
mod choice;
mod endpoint;
mod lease;
mod load;
mod locality;
mod queue;
mod sample;
mod set;
mod warmth;
mod window;

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

pub use self::{
    backend::Backend,
    breaker::BreakerSettings,
    endpoint::{Endpoint, EndpointSpec},
    lease::Lease,
    load::LoadSettings,
    locality::Locality,
    queue::QueueLimit,
};
use self::{
    breaker::{LAST_RESORT_PAUSE, Standing},
    choice::Choice,
    endpoint::Shared,
    queue::Place,
    set::{Drawn, Set},
    window::Window,
};
use crate::error::Reason;

/// How a destination is balanced.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How latency is estimated.
    pub load: LoadSettings,
    /// When an endpoint is left out.
    pub breaker: BreakerSettings,
    /// How many requests may wait for an endpoint at once.
    pub queue: QueueLimit,
    /// How long a new endpoint takes until it gets its whole share; zero: it gets it at once. Default 10 s.
    pub slow_start: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            load: LoadSettings::default(),
            breaker: BreakerSettings::default(),
            queue: QueueLimit::default(),
            slow_start: Duration::from_secs(10),
        }
    }
}

/// Why there is no endpoint to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// The destination's endpoints are not known yet.
    #[error("the endpoints are not known yet")]
    Unanswered,
    /// It is known that there is none.
    #[error("there is no endpoint")]
    Empty,
    /// None takes connections, and all are being tried already.
    #[error("all endpoints are ejected")]
    AllEjected,
    /// Too many wait already.
    #[error("too many requests wait for an endpoint")]
    QueueFull,
}

impl PickError {
    /// What it is at the request's edge.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unanswered => Reason::DiscoveryTimeout,
            Self::Empty | Self::AllEjected => Reason::NoEndpoints,
            Self::QueueFull => Reason::Overloaded,
        }
    }
}

/// How many endpoints are in which state, for `weft_balancer_endpoints`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They take requests.
    pub ready: usize,
    /// They are left out until their penalty is over.
    pub ejected: usize,
    /// Their penalty is over: the next request, or the one under way, tells.
    pub probing: usize,
}

/// The endpoints of one destination, shared by all workers.
#[derive(Debug)]
pub struct Balancer {
    set: ArcSwap<Set>,
    settings: Settings,
    shared: Shared,
    answered: AtomicBool,
    waiting: AtomicUsize,
}

impl Balancer {
    /// A balancer whose endpoints are not known yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            set: ArcSwap::from_pointee(Set::default()),
            settings,
            shared: Shared {
                epoch: Instant::now(),
                updates: watch::Sender::new(0),
                answers: Arc::new(Window::new(settings.breaker.window)),
            },
            answered: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes the whole list of endpoints. Who stays (same address, identity and pod) keeps its load and breaker; who is
    /// gone is not picked again once this returns. Called from one thread.
    pub fn update(&self, endpoints: Vec<EndpointSpec>) {
        let next = self.set.load().follow(endpoints, &self.settings, &self.shared);
        self.set.store(Arc::new(next));
        self.answered.store(true, Release);
        self.shared.updates.send_modify(|count| *count += 1);
    }

    /// Whether the endpoints are known, be it that there are none.
    pub fn answered(&self) -> bool {
        self.answered.load(Acquire)
    }

    /// Sees every [`Self::update`] and every end of a probe after this call, so take it before the pick that may fail.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.updates.subscribe()
    }

    /// Chooses an endpoint. One whose id is in `skip` is chosen only when there is nothing else.
    ///
    /// Who is ejected is left out while another endpoint takes requests. When all are, those that still take
    /// connections are used all the same, as a breaker must not make an outage worse, and those that do not are tried
    /// by one request at a time, each 100 ms.
    ///
    /// # Errors
    /// [`PickError`] says whether it is worth waiting.
    pub fn pick(&self, skip: &[u64]) -> Result<Lease, PickError> {
        let set = self.set.load();
        if set.is_empty() {
            return Err(if self.answered() { PickError::Empty } else { PickError::Unanswered });
        }
        let now = Instant::now();
        let near = set.near.admitted(skip, now);
        if let Some(lease) = begin(self.spilled(&set, near, skip, now), now).or_else(|| begin(near, now)) {
            return Ok(lease);
        }
        let groups = [&set.near, &set.far];
        let mut all = Choice::ORDER.into_iter().flat_map(|choice| groups.map(|group| group.draw(choice, skip, now)));
        all.find_map(|drawn| begin(drawn, now)).ok_or(PickError::AllEjected)
    }

    /// Like [`Self::pick`], but waits until `deadline` for an endpoint that takes requests.
    ///
    /// # Errors
    /// [`PickError::QueueFull`] at once when too many wait, otherwise the last [`PickError`]. Cancel-safe.
    pub async fn pick_by(&self, skip: &[u64], deadline: Instant) -> Result<Lease, PickError> {
        let mut changes = self.changes();
        let mut place = None;
        loop {
            let error = match self.pick(skip) {
                Ok(lease) => return Ok(lease),
                Err(error) => error,
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(error);
            }
            if place.is_none() {
                place = Some(Place::take(&self.waiting, self.settings.queue).ok_or(PickError::QueueFull)?);
            }
            let look_again = match error {
                PickError::AllEjected => deadline.min(now + LAST_RESORT_PAUSE),
                PickError::Empty | PickError::QueueFull | PickError::Unanswered => deadline,
            };
            // Whether a change or the time has come: look again.
            let _elapsed = timeout_at(look_again, changes.changed()).await;
        }
    }

    /// How many endpoints are in which state.
    pub fn counts(&self) -> Counts {
        let now = Instant::now();
        let mut counts = Counts::default();
        for entry in self.set.load().entries() {
            match entry.endpoint.standing(now) {
                Standing::Ready => counts.ready += 1,
                Standing::Ejected | Standing::Unreachable { .. } => counts.ejected += 1,
                Standing::Due | Standing::Probing { .. } => counts.probing += 1,
            }
        }
        counts
    }

    /// The endpoints as they are now, for `/config` and for who closes links to those that are gone.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.set.load().entries().map(|entry| Arc::clone(&entry.endpoint)).collect()
    }

    /// Far endpoints, if the better one of those nearby costs so much more.
    fn spilled<'a>(&self, set: &'a Set, near: Drawn<'_>, skip: &[u64], now: Instant) -> Drawn<'a> {
        let [Some(near), _] = near else { return [None, None] };
        if set.far.is_empty() {
            return [None, None];
        }
        let drawn = set.far.admitted(skip, now);
        match drawn {
            [Some(far), _] if far.takes_over(near, self.settings.load.default_rtt, now) => drawn,
            _ => [None, None],
        }
    }
}

/// The better of the two, or the other when its probe went to someone else in the meantime.
fn begin(drawn: Drawn<'_>, now: Instant) -> Option<Lease> {
    drawn.into_iter().flatten().find_map(|entry| Lease::begin(&entry.endpoint, now))
}

/// Time since the epoch in the unit of the atomics.
fn nanoseconds(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
