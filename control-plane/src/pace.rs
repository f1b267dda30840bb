//! How fast work is let in: so many per second, evenly. Who would have to wait too long is sent away.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Lets callers in at a bounded rate.
pub struct Pace {
    interval: Duration,
    longest: Duration,
    next: Mutex<Option<Instant>>,
}

/// The line is too long.
#[derive(Debug, thiserror::Error)]
#[error("the line is too long, come back later")]
pub struct TooMany;

impl Pace {
    /// `per_second`: callers, at least 1. `longest`: the longest wait.
    pub fn new(per_second: u32, longest: Duration) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), longest, next: Mutex::default() }
    }

    /// Waits for this caller's turn. Cancel-safe; the last in the line then gives its turn back, others' are lost.
    pub async fn turn(&self) -> Result<(), TooMany> {
        let at = self.line_up(Instant::now())?;
        let mut turn = Turn { pace: self, at, has_come: false };
        sleep_until(at).await;
        turn.has_come = true;
        Ok(())
    }

    fn line_up(&self, now: Instant) -> Result<Instant, TooMany> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        if turn - now > self.longest {
            return Err(TooMany);
        }
        *next = Some(turn + self.interval);
        Ok(turn)
    }
}

/// Waited for; whoever leaves the line must not fill it.
struct Turn<'a> {
    pace: &'a Pace,
    at: Instant,
    has_come: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut next = self.pace.next.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.has_come && *next == Some(self.at + self.pace.interval) {
            *next = Some(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_does_not_fill_it() {
        let pace = Pace::new(10, Duration::from_millis(250));
        pace.turn().await.unwrap();
        for _ in 0..10 {
            timeout(Duration::from_millis(1), pace.turn()).await.unwrap_err();
        }
        pace.turn().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn callers_are_let_in_evenly_and_a_long_line_is_cut() {
        let pace = Pace::new(10, Duration::from_millis(250));
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(pace.line_up(start).map(|turn| (turn - start).as_millis()).ok());
        }
        assert_eq!(waits, [Some(0), Some(100), Some(200), None]);
        pace.turn().await.unwrap_err();
        tokio::time::advance(Duration::from_millis(50)).await;
        pace.turn().await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 300);
    }
}
