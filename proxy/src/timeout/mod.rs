//! How long a request may take (outbound steps 3 and 6): the earliest of all limits wins. Pure; the clock is an argument.
//!
//! Does not wait (`timers`), does not know where the limits come from: routes (`route/`), `grpc-timeout` (`http/`), or
//! the proxy before this one (the deadline of the mesh stream).

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Reason;

/// The limits that a request comes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The route's: from the first byte of the request to the last of the response.
    pub request: Option<Duration>,
    /// The route's, for each try.
    pub backend_request: Option<Duration>,
    /// The client's, by `grpc-timeout`.
    pub grpc: Option<Duration>,
    /// What was left of the caller's own deadline.
    pub propagated: Option<Duration>,
}

/// The end of a request, reckoned once when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    whole: Option<Instant>,
    each: Option<Duration>,
}

/// The end of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryDeadline {
    /// When.
    pub at: Instant,
    /// What it means when it passes: [`Reason::RequestTimeout`] or [`Reason::TryTimeout`].
    pub reason: Reason,
}

impl Deadline {
    /// The deadline of a request whose first byte came at `start`.
    pub fn new(start: Instant, limits: &Limits) -> Self {
        let whole = [limits.request, limits.grpc, limits.propagated].into_iter().flatten().min();
        Self { whole: whole.and_then(|limit| start.checked_add(limit)), each: limits.backend_request }
    }

    /// When the request must be over. None: never.
    pub fn at(&self) -> Option<Instant> {
        self.whole
    }

    /// When a try that begins now must be over. None: never.
    pub fn of_try(&self, now: Instant) -> Option<TryDeadline> {
        let whole = self.whole.map(|at| TryDeadline { at, reason: Reason::RequestTimeout });
        let each = self.each.and_then(|limit| now.checked_add(limit));
        match (whole, each) {
            (Some(whole), Some(at)) if at < whole.at => Some(TryDeadline { at, reason: Reason::TryTimeout }),
            (Some(whole), _) => Some(whole),
            (None, at) => at.map(|at| TryDeadline { at, reason: Reason::TryTimeout }),
        }
    }

    /// What is left for the next hop of a try that begins now, to be handed on. Zero: it is too late. None: no limit.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.of_try(now).map(|end| end.at.saturating_duration_since(now))
    }

    /// Whether another try can begin at `when` and still have time.
    pub fn allows(&self, when: Instant) -> bool {
        self.whole.is_none_or(|at| when < at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(number: u64) -> Option<Duration> {
        Some(Duration::from_secs(number))
    }

    #[test]
    fn the_earliest_limit_of_a_request_wins() {
        let start = Instant::now();
        let limits = Limits { request: seconds(3), grpc: seconds(2), propagated: seconds(5), ..Limits::default() };
        assert_eq!(Deadline::new(start, &limits).at(), Some(start + Duration::from_secs(2)));
        assert_eq!(Deadline::new(start, &Limits::default()).at(), None);
        assert_eq!(Deadline::new(start, &Limits::default()).remaining(start), None);
    }

    #[test]
    fn a_try_ends_with_its_own_limit_or_with_the_request() {
        let start = Instant::now();
        let limits = Limits { request: seconds(3), backend_request: seconds(2), ..Limits::default() };
        let deadline = Deadline::new(start, &limits);
        let first = deadline.of_try(start).unwrap();
        assert_eq!((first.at, first.reason), (start + Duration::from_secs(2), Reason::TryTimeout));
        let second = deadline.of_try(start + Duration::from_secs(2)).unwrap();
        assert_eq!((second.at, second.reason), (start + Duration::from_secs(3), Reason::RequestTimeout));
        assert!(deadline.allows(start + Duration::from_secs(2)) && !deadline.allows(start + Duration::from_secs(3)));
    }

    #[test]
    fn the_next_hop_gets_what_is_left() {
        let start = Instant::now();
        let deadline = Deadline::new(start, &Limits { request: seconds(3), ..Limits::default() });
        assert_eq!(deadline.remaining(start + Duration::from_secs(1)), seconds(2));
        assert_eq!(deadline.remaining(start + Duration::from_secs(9)), seconds(0));
    }

    proptest! {
        #[test]
        fn no_try_outlives_its_request(request in 1_u64..100, each in 1_u64..100, passed in 0_u64..200) {
            let start = Instant::now();
            let limits = Limits { request: seconds(request), backend_request: seconds(each), ..Limits::default() };
            let deadline = Deadline::new(start, &limits);
            let end = deadline.of_try(start + Duration::from_secs(passed)).unwrap().at;
            prop_assert!(end <= deadline.at().unwrap());
        }
    }
}
