//! Which endpoints come into question for a pick.

use tokio::time::Instant;

use super::{Endpoint, breaker::Standing};

/// Which endpoints come into question, best first.
#[derive(Clone, Copy)]
pub(super) enum Choice {
    /// They take requests, or are due for a probe, and are not to be skipped.
    Admitted,
    /// The same, although they are to be skipped: there is nothing else.
    Skipped,
    /// They are ejected, but they take connections.
    LastResort,
    /// They do not take connections either, but are not just found so.
    Unreachable,
}

impl Choice {
    pub(super) const ORDER: [Self; 4] = [Self::Admitted, Self::Skipped, Self::LastResort, Self::Unreachable];

    pub(super) fn admits(self, endpoint: &Endpoint, skip: &[u64], now: Instant) -> bool {
        let standing = endpoint.standing(now);
        let admitted = matches!(standing, Standing::Ready | Standing::Due);
        match self {
            Self::Admitted => admitted && !skip.contains(&endpoint.id),
            Self::Skipped => admitted,
            Self::LastResort => matches!(standing, Standing::Ejected | Standing::Probing { reachable: true }),
            Self::Unreachable => standing == Standing::Unreachable { resting: false },
        }
    }
}
