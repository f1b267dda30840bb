//! Whether a failed request may be tried again, and when (outbound step 6).
//!
//! A retry is safe when the request provably never reached the app; otherwise it must be idempotent *and* a route must
//! ask for it. Every retry spends from the destination's [`Budget`]. Does not send anything; what a body needs for a
//! second try is kept by [`Replay`].

mod budget;
mod mark;
mod replay;

use std::time::Duration;

use weft_api::RetryRule;

pub use self::{
    budget::{Budget, BudgetSettings},
    mark::{MARK, is_marked},
    replay::{Again, REPLAY_LIMIT, Replay},
};
use crate::error::Verdict;

/// Tries beyond the first of a request that provably never reached the app, unless a route asks for more.
pub const SAFE_ATTEMPTS: u32 = 3;

/// The longest pause between two tries, before jitter.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The pause before the second retry, where no route says how long.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Without an answer from the app ([`crate::error::Reason::verdict`]).
    Failed(Verdict),
    /// The app answered with this HTTP status.
    Answered(u16),
}

/// What of a request decides whether it may be sent twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// By its method or by an `Idempotency-Key`: see [`idempotent`].
    pub idempotent: bool,
    /// It is a retry already, of a proxy before this one: see [`is_marked`].
    pub marked: bool,
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this pause, if the budget has credit and the deadline leaves time.
    Retry {
        /// With jitter.
        after: Duration,
    },
    /// Hand on what there is.
    Stop(Stop),
}

/// Why a request is not tried again: the `outcome` of `weft_retries_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It needs no retry: it went well, or another try would end the same way.
    Final,
    /// It may have reached the app, and nothing says that twice is as good as once.
    NotIdempotent,
    /// It may have reached the app, and no route asks for a retry of this.
    NotAsked,
    /// It has been tried often enough.
    Attempts,
    /// A proxy before this one retries it already.
    Marked,
}

/// Whether the request may be tried again after try number `attempt` (the first is 1).
pub fn may_retry(outcome: Outcome, request: Traits, asked: Option<&RetryRule>, attempt: u32) -> Decision {
    let safe = match outcome {
        Outcome::Failed(Verdict::NeverDelivered) => true,
        Outcome::Failed(Verdict::MaybeDelivered) => false,
        Outcome::Failed(Verdict::Final) => return Decision::Stop(Stop::Final),
        Outcome::Answered(status) if status < 400 => return Decision::Stop(Stop::Final),
        Outcome::Answered(status) => match asked {
            Some(rule) if rule.codes.contains(&status) => false,
            _ => return Decision::Stop(Stop::Final),
        },
    };
    let attempts = match (safe, asked) {
        (true, rule) => rule.map_or(0, |rule| rule.attempts).max(SAFE_ATTEMPTS),
        (false, _) if !request.idempotent => return Decision::Stop(Stop::NotIdempotent),
        (false, None) => return Decision::Stop(Stop::NotAsked),
        (false, Some(rule)) => rule.attempts,
    };
    if request.marked {
        return Decision::Stop(Stop::Marked);
    }
    if attempt > attempts {
        return Decision::Stop(Stop::Attempts);
    }
    let first = Duration::ZERO; // another endpoint is there: no reason to wait
    let after = match asked {
        Some(rule) => backoff(attempt, rule.backoff),
        None if attempt <= 1 => first,
        None => backoff(attempt - 1, DEFAULT_BACKOFF),
    };
    Decision::Retry { after }
}

/// The pause before retry number `attempt` (the first is 1): `base`, doubled each time, up to 10 s or `base`, and up to a
/// half more by chance. Never less than `base` (GEP-1731).
pub fn backoff(attempt: u32, base: Duration) -> Duration {
    let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(LONGEST_BACKOFF.max(base)).mul_f64(1.0 + fastrand::f64() / 2.0)
}

/// Whether sending a request twice is as good as once: by its method (RFC 9110 section 9.2.2) or because it carries an
/// `Idempotency-Key`.
pub fn idempotent(method: &[u8], has_key: bool) -> bool {
    has_key || matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEVER: Outcome = Outcome::Failed(Verdict::NeverDelivered);
    const MAYBE: Outcome = Outcome::Failed(Verdict::MaybeDelivered);
    const POST: Traits = Traits { idempotent: false, marked: false };
    const GET: Traits = Traits { idempotent: true, marked: false };

    fn rule() -> RetryRule {
        RetryRule { codes: vec![503], attempts: 2, backoff: Duration::from_millis(100) }
    }

    fn retried(decision: Decision) -> bool {
        matches!(decision, Decision::Retry { .. })
    }

    #[test]
    fn what_never_reached_the_app_is_retried_whatever_it_is() {
        assert_eq!(may_retry(NEVER, POST, None, 1), Decision::Retry { after: Duration::ZERO });
        assert!(retried(may_retry(NEVER, POST, None, SAFE_ATTEMPTS)));
        assert_eq!(may_retry(NEVER, POST, None, SAFE_ATTEMPTS + 1), Decision::Stop(Stop::Attempts));
    }

    #[test]
    fn what_may_have_reached_the_app_must_be_idempotent_and_asked_for() {
        assert_eq!(may_retry(MAYBE, POST, Some(&rule()), 1), Decision::Stop(Stop::NotIdempotent));
        assert_eq!(may_retry(MAYBE, GET, None, 1), Decision::Stop(Stop::NotAsked));
        assert!(retried(may_retry(MAYBE, GET, Some(&rule()), 2)));
        assert_eq!(may_retry(MAYBE, GET, Some(&rule()), 3), Decision::Stop(Stop::Attempts));
    }

    #[test]
    fn an_answer_is_retried_only_for_the_codes_that_the_route_names() {
        assert!(retried(may_retry(Outcome::Answered(503), GET, Some(&rule()), 1)));
        assert_eq!(may_retry(Outcome::Answered(503), POST, Some(&rule()), 1), Decision::Stop(Stop::NotIdempotent));
        assert_eq!(may_retry(Outcome::Answered(500), GET, Some(&rule()), 1), Decision::Stop(Stop::Final));
        assert_eq!(may_retry(Outcome::Answered(503), GET, None, 1), Decision::Stop(Stop::Final));
        assert_eq!(may_retry(Outcome::Answered(200), GET, Some(&rule()), 1), Decision::Stop(Stop::Final));
    }

    #[test]
    fn a_retry_of_a_retry_is_not_made() {
        assert_eq!(may_retry(NEVER, Traits { marked: true, ..GET }, None, 1), Decision::Stop(Stop::Marked));
    }

    #[test]
    fn methods_are_idempotent_as_the_rfc_says() {
        assert!(idempotent(b"PUT", false) && idempotent(b"POST", true));
        assert!(!idempotent(b"POST", false) && !idempotent(b"PATCH", false) && !idempotent(b"get", false));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_the_route_asks(attempt in 1_u32..100, base in 0_u64..60_000) {
            let base = Duration::from_millis(base);
            let pause = backoff(attempt, base);
            prop_assert!(pause >= base);
            prop_assert!(pause <= LONGEST_BACKOFF.max(base).mul_f64(1.5));
        }
    }
}
