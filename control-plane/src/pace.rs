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

    /// Waits for this caller's turn. Cancel-safe; the turn is lost then.
    pub async fn turn(&self) -> Result<(), TooMany> {
        let turn = self.line_up(Instant::now())?;
        sleep_until(turn).await;
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

#[cfg(test)]
mod tests {
    use super::*;

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
