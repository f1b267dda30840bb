//! How often one caller may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Callers that are remembered before those who have been quiet are forgotten.
const MANY: usize = 10_000;

/// Whom a rate is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Who is logged in, wherever he calls from.
    User(i64),
    /// Everyone else at one address.
    Address(IpAddr),
}

/// A rate for each caller of one replica, with bursts of one second's worth.
#[derive(Debug)]
pub struct Limit(DefaultKeyedRateLimiter<Key>);

impl Limit {
    /// So many requests a second for each caller.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_second(per_second)))
    }

    /// Counts one request.
    ///
    /// # Errors
    /// The time after which the next one is let through.
    pub fn check(&self, key: Key) -> Result<(), Duration> {
        if self.0.len() > MANY {
            self.0.retain_recent();
        }
        self.0.check_key(&key).map_err(|refusal| refusal.wait_time_from(DefaultClock::default().now()))
    }
}
