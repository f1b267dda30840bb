//! The breaker of one endpoint: leaves it out after failures in a row, and lets one request at a time find out whether
//! it is back.
//!
//! Seven answers that failed eject it, and so does one connection that was not taken: that endpoint serves nobody, while
//! a failed answer may be the request's own fault. An endpoint that fails now and then is ejected by its success rate, if
//! the others' is better: where all fail alike, it is not the endpoint, and to leave it out helps nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{nanoseconds, window::Window};
use crate::telemetry::EjectionCause;

/// When an endpoint is left out, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row. Default 7.
    pub failures: u32,
    /// The first penalty. It doubles with every probe that fails. Default 1 s.
    pub penalty: Duration,
    /// The longest, before jitter. Default 60 s.
    pub longest_penalty: Duration,
    /// Up to this share is added by chance, so that proxies do not probe in step. Default 0.5.
    pub jitter: f64,
    /// The share of its answers that must succeed, 0.0 (which turns this off) to 1.0. Default 0.8.
    pub success_rate: f64,
    /// Over how long. Default 10 s.
    pub window: Duration,
    /// Of how many answers at least, its own and the others'. Default 50.
    pub answers: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 7,
            penalty: Duration::from_secs(1),
            longest_penalty: Duration::from_secs(60),
            jitter: 0.5,
            success_rate: 0.8,
            window: Duration::from_secs(10),
            answers: 50,
        }
    }
}

impl BreakerSettings {
    /// The penalty after so many penalties in a row; `chance` is 0.0–1.0.
    fn penalty(&self, past: u32, chance: f64) -> Duration {
        let doubled = self.penalty.saturating_mul(1_u32.checked_shl(past).unwrap_or(u32::MAX));
        doubled.min(self.longest_penalty).mul_f64(1.0 + self.jitter.max(0.0) * chance)
    }
}

/// Where nobody takes connections, each endpoint is tried again after this time, whatever its penalty: an app that is
/// back must not be left out for a minute when there is no other.
pub(super) const LAST_RESORT_PAUSE: Duration = Duration::from_millis(100);

/// What a breaker says about its endpoint now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes requests.
    Ready,
    /// Its answers failed; the penalty runs.
    Ejected,
    /// It does not take connections; the penalty runs.
    Unreachable {
        /// It was found so just now ([`LAST_RESORT_PAUSE`]).
        resting: bool,
    },
    /// The penalty is over: the next request is a probe.
    Due,
    /// A probe is under way.
    Probing {
        /// It took connections last time.
        reachable: bool,
    },
}

/// The state: atomics, as all workers report to it. Closed means that `until` is 0.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Failures in a row.
    failures: AtomicU32,
    /// Penalties in a row.
    penalties: AtomicU32,
    /// End of the penalty, in nanoseconds since the balancer's epoch; 0: closed.
    until: AtomicU64,
    /// Its beginning.
    since: AtomicU64,
    /// A probe is under way.
    probing: AtomicBool,
    /// The last failure was a connection not taken.
    unreachable: AtomicBool,
    /// Its own answers, and those of all endpoints of the destination.
    own: Window,
    all: Arc<Window>,
}

impl Breaker {
    /// `all`: what the destination's endpoints count into together.
    pub(super) fn new(settings: BreakerSettings, all: Arc<Window>) -> Self {
        Self {
            settings,
            failures: AtomicU32::new(0),
            penalties: AtomicU32::new(0),
            until: AtomicU64::new(0),
            since: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            own: Window::new(settings.window),
            all,
        }
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let until = self.until.load(Relaxed);
        if until == 0 {
            return Standing::Ready;
        }
        let unreachable = self.unreachable.load(Relaxed);
        if self.probing.load(Relaxed) {
            return Standing::Probing { reachable: !unreachable };
        }
        match (nanoseconds(now) < until, unreachable) {
            (false, _) => Standing::Due,
            (true, true) => Standing::Unreachable { resting: nanoseconds(now) < self.rested() },
            (true, false) => Standing::Ejected,
        }
    }

    /// Lets a request through: as usual, as a probe, or not at all because its probe is taken.
    pub(super) fn admit(&self, now: Duration) -> Option<Admission> {
        match self.standing(now) {
            // The balancer offers ejected endpoints only when there is nothing better.
            Standing::Ready | Standing::Ejected | Standing::Probing { reachable: true } => Some(Admission::Usual),
            Standing::Probing { reachable: false } | Standing::Unreachable { resting: true } => None,
            Standing::Due | Standing::Unreachable { resting: false } => {
                let free = self.probing.compare_exchange(false, true, Relaxed, Relaxed).is_ok();
                free.then_some(Admission::Probe)
            }
        }
    }

    /// A request succeeded: whatever was held against the endpoint is forgotten.
    pub(super) fn success(&self, now: Duration) {
        self.count(true, now);
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.until.load(Relaxed) != 0 {
            self.penalties.store(0, Relaxed);
            self.own.forget();
            self.unreachable.store(false, Relaxed);
            self.until.store(0, Relaxed);
        }
    }

    /// An answer failed. Returns why a penalty began, if one did.
    pub(super) fn failure(&self, admission: Admission, now: Duration) -> Option<EjectionCause> {
        self.count(false, now);
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let in_a_row = admission == Admission::Probe || failures >= self.settings.failures;
        let cause = if in_a_row { EjectionCause::Consecutive } else { EjectionCause::SuccessRate };
        let enough = in_a_row || self.is_worse_than_others(now);
        (enough && self.eject(admission, false, now)).then_some(cause)
    }

    /// A connection was not taken. Returns why a penalty began, if one did.
    pub(super) fn refused(&self, admission: Admission, now: Duration) -> Option<EjectionCause> {
        self.failures.fetch_add(1, Relaxed);
        self.eject(admission, true, now).then_some(EjectionCause::Unreachable)
    }

    fn count(&self, success: bool, now: Duration) {
        self.own.count(success, now);
        self.all.count(success, now);
    }

    /// Whether too few of its answers succeed, and enough of the others'.
    fn is_worse_than_others(&self, now: Duration) -> bool {
        let BreakerSettings { success_rate, answers, .. } = self.settings;
        let own = self.own.answers(now);
        if own.total() < answers.into() || own.success_rate() >= success_rate {
            return false;
        }
        let others = self.all.answers(now).without(own);
        others.total() >= answers.into() && others.success_rate() >= success_rate
    }

    /// The probe, if it was one, is over.
    pub(super) fn release(&self, admission: Admission) {
        if admission == Admission::Probe {
            self.probing.store(false, Relaxed);
        }
    }

    /// When the last resort may be taken again.
    fn rested(&self) -> u64 {
        self.since.load(Relaxed).saturating_add(nanoseconds(LAST_RESORT_PAUSE))
    }

    /// Begins a penalty. Stragglers that fail while one runs do not make it longer.
    fn eject(&self, admission: Admission, unreachable: bool, now: Duration) -> bool {
        self.unreachable.store(unreachable, Relaxed);
        let penalty = self.settings.penalty(self.penalties.load(Relaxed), fastrand::f64());
        let until = nanoseconds(now + penalty).max(1);
        self.since.store(nanoseconds(now), Relaxed);
        let begun = match admission {
            Admission::Usual => self.until.compare_exchange(0, until, Relaxed, Relaxed).is_ok(),
            Admission::Probe => {
                self.until.store(until, Relaxed);
                true
            }
        };
        if begun {
            self.penalties.fetch_add(1, Relaxed);
        }
        begun
    }
}

/// How a request was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As any other.
    Usual,
    /// To find out whether the endpoint is back.
    Probe,
}

#[cfg(test)]
mod tests;
