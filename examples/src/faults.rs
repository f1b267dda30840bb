//! Trouble on demand: a replica that is slow, or that fails at times, so that a mesh has something to do.
//!
//! | variable | what it does |
//! |---|---|
//! | `SLOW` | every answer waits so long first, such as `30ms` |
//! | `FAIL_RATIO` | so many requests are answered 503 or UNAVAILABLE before anything is done: 0 to 1 |
//! | `CRASH_AT` | the process kills itself there as `kill -9` does: `before-STEP` or `after-STEP` of an order, such as `after-charge-payment` |
//! | `FAIL_EVERY`, `FAIL_FOR` | with both, requests fail only in the last `FAIL_FOR` of every `FAIL_EVERY` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use nix::sys::signal::{Signal, raise};
use tokio::time::Instant;
use tonic::Status;
use tracing::warn;

use crate::problem::Problem;
use crate::settings::{self, SettingError};

const FAILED: &str = "this replica fails at times, as FAIL_RATIO asks; nothing was done";

/// What goes wrong, and when. Nothing, by default.
#[derive(Debug)]
pub struct Faults {
    slow: Duration,
    ratio: f64,
    every: Duration,
    lasts: Duration,
    crash_at: String,
    started: Instant,
    seen: AtomicU64,
}

impl Faults {
    /// Reads the variables above.
    ///
    /// # Errors
    /// A variable with a value that cannot be used.
    pub fn from_env() -> Result<Self, SettingError> {
        let wanted = "a number from 0 to 1";
        let ratio = settings::parsed("FAIL_RATIO", 0.0, wanted)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(SettingError { name: "FAIL_RATIO", value: ratio.to_string(), wanted });
        }
        Ok(Self {
            slow: settings::time("SLOW", Duration::ZERO)?,
            ratio,
            every: settings::time("FAIL_EVERY", Duration::ZERO)?,
            lasts: settings::time("FAIL_FOR", Duration::ZERO)?,
            crash_at: settings::parsed("CRASH_AT", String::new(), "a place such as after-charge-payment")?,
            ..Self::none()
        })
    }

    /// No trouble at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            slow: Duration::ZERO,
            ratio: 0.0,
            every: Duration::ZERO,
            lasts: Duration::ZERO,
            crash_at: String::new(),
            started: Instant::now(),
            seen: AtomicU64::new(0),
        }
    }

    /// Waits as long as a slow replica does.
    pub async fn delay(&self) {
        if !self.slow.is_zero() {
            tokio::time::sleep(self.slow).await;
        }
    }

    /// What a gRPC call goes through first: the wait of a slow replica, and the failure of one that fails at times.
    ///
    /// # Errors
    /// UNAVAILABLE, as often as `FAIL_RATIO` says.
    pub async fn strike(&self) -> Result<(), Status> {
        self.delay().await;
        if self.fails() { Err(Status::unavailable(FAILED)) } else { Ok(()) }
    }

    /// Whether the next request fails. Failures are spread evenly, so that a ratio is kept over a few requests too.
    pub fn fails(&self) -> bool {
        const GOLDEN: f64 = 0.618_033_988_749_895; // its multiples, modulo 1, fill 0..1 evenly
        if self.ratio == 0.0 || !self.in_bad_time() {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        (number as f64 * GOLDEN).fract() < self.ratio
    }

    /// Ends this process at once, with nothing tidied up, where `CRASH_AT` is `WHEN-STEP`.
    pub fn crash_at(&self, when: &str, step: &str) {
        if self.crash_at.strip_prefix(when).and_then(|rest| rest.strip_prefix('-')) == Some(step) {
            warn!(when, step, "crashing, as CRASH_AT asks");
            let _ = raise(Signal::SIGKILL);
        }
    }

    fn in_bad_time(&self) -> bool {
        if self.every.is_zero() || self.lasts.is_zero() {
            return true;
        }
        let within = self.started.elapsed().as_millis() % self.every.as_millis();
        within + self.lasts.as_millis() >= self.every.as_millis()
    }
}

/// Makes REST requests slow or lets them fail.
pub async fn trouble(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    faults.delay().await;
    if faults.fails() {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, FAILED).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_kept_over_a_few_requests() {
        let faults = Faults { ratio: 0.2, ..Faults::none() };
        let failed = (0..100).filter(|_| faults.fails()).count();
        assert!((18..=22).contains(&failed), "{failed} of 100 failed");
    }

    #[test]
    fn without_faults_nothing_fails_and_a_ratio_of_one_fails_all() {
        let all = Faults { ratio: 1.0, ..Faults::none() };
        assert!((0..100).all(|_| all.fails()));
        assert!((0..100).all(|_| !Faults::none().fails()));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_come_at_the_end_of_every_period() {
        let seconds = Duration::from_secs;
        let faults = Faults { ratio: 1.0, every: seconds(10), lasts: seconds(2), ..Faults::none() };
        assert!(!faults.fails());
        tokio::time::advance(seconds(8)).await;
        assert!(faults.fails());
        tokio::time::advance(seconds(2)).await;
        assert!(!faults.fails());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_replica_waits() {
        let started = Instant::now();
        Faults { slow: Duration::from_millis(30), ..Faults::none() }.delay().await;
        assert_eq!(started.elapsed(), Duration::from_millis(30));
    }
}
