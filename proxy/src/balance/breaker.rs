//! The breaker of one endpoint: leaves it out after failures in a row, and lets one request at a time find out whether
//! it is back.
//!
//! Seven answers that failed eject it, and so does one connection that was not taken: that endpoint serves nobody, while
//! a failed answer may be the request's own fault.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::nanoseconds;

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
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 7, penalty: Duration::from_secs(1), longest_penalty: Duration::from_secs(60), jitter: 0.5 }
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
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            failures: AtomicU32::new(0),
            penalties: AtomicU32::new(0),
            until: AtomicU64::new(0),
            since: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
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
    pub(super) fn success(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.until.load(Relaxed) != 0 {
            self.penalties.store(0, Relaxed);
            self.unreachable.store(false, Relaxed);
            self.until.store(0, Relaxed);
        }
    }

    /// An answer failed. Returns whether a penalty began.
    pub(super) fn failure(&self, admission: Admission, now: Duration) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let enough = admission == Admission::Probe || failures >= self.settings.failures;
        enough && self.eject(admission, false, now)
    }

    /// A connection was not taken. Returns whether a penalty began.
    pub(super) fn refused(&self, admission: Admission, now: Duration) -> bool {
        self.failures.fetch_add(1, Relaxed);
        self.eject(admission, true, now)
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
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn seven_failures_in_a_row_eject_and_six_do_not() {
        let breaker = Breaker::new(BreakerSettings::default());
        assert!((0..6).all(|_| !breaker.failure(Admission::Usual, at(1))));
        assert_eq!(breaker.standing(at(1)), Standing::Ready);
        breaker.success();
        assert!((0..6).all(|_| !breaker.failure(Admission::Usual, at(1))));
        assert_eq!(breaker.standing(at(1)), Standing::Ready, "a success in between counts from anew");
        assert!(breaker.failure(Admission::Usual, at(1)));
        assert_eq!(breaker.standing(at(1)), Standing::Ejected);
    }

    #[test]
    fn one_refused_connection_ejects() {
        let breaker = Breaker::new(BreakerSettings::default());
        breaker.refused(Admission::Usual, at(1));
        assert_eq!(breaker.standing(at(1)), Standing::Unreachable { resting: true });
        assert_eq!(breaker.standing(at(101)), Standing::Unreachable { resting: false });
    }

    #[test]
    fn one_probe_at_a_time_follows_the_penalty() {
        let breaker = Breaker::new(BreakerSettings::default());
        breaker.refused(Admission::Usual, at(1));
        let after = at(1_502);
        assert_eq!(breaker.standing(after), Standing::Due);
        assert_eq!(breaker.admit(after), Some(Admission::Probe));
        assert_eq!(breaker.admit(after), None);
        breaker.release(Admission::Probe);
        assert_eq!(breaker.admit(after), Some(Admission::Probe), "a cancelled probe gives its turn back");
        breaker.success();
        breaker.release(Admission::Probe);
        assert_eq!(breaker.standing(after), Standing::Ready);
    }

    #[test]
    fn stragglers_do_not_make_a_penalty_longer() {
        let breaker = Breaker::new(BreakerSettings::default());
        assert_eq!((0..40).filter(|_| breaker.refused(Admission::Usual, at(1))).count(), 1);
        assert_eq!(breaker.standing(at(1_502)), Standing::Due);
    }

    #[test]
    fn penalties_double_up_to_the_longest() {
        let settings = BreakerSettings::default();
        let seconds: Vec<_> = [0, 1, 2, 5, 6, 40].map(|past| settings.penalty(past, 0.0).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60]);
        assert_eq!(settings.penalty(40, 1.0), Duration::from_secs(90));
    }
}
