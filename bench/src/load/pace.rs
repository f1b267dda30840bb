//! When requests are due: at once (closed loop, for a time or a number), or at a constant rate whatever the answers do.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::timer::Ticks;

/// Hands out the moments at which requests are due.
pub struct Pace {
    interval: Option<Duration>,
    end: Instant,
    /// How many there are in all, if that is what ends them.
    left: Option<Cell<u64>>,
    due: RefCell<VecDeque<Instant>>,
    /// Wakes the sender that has waited longest, so that all connections are in use.
    one: Notify,
    over: Cell<bool>,
}

impl Pace {
    /// `rate` per second in all, or as fast as answers come.
    pub fn new(rate: Option<u32>, end: Instant) -> Self {
        let interval = rate.map(|rate| Duration::from_secs(1) / rate.max(1));
        Self { interval, end, left: None, due: RefCell::default(), one: Notify::new(), over: Cell::new(false) }
    }

    /// `requests` in all, as fast as answers come.
    pub fn counted(requests: u64, end: Instant) -> Self {
        Self { left: Some(Cell::new(requests)), ..Self::new(None, end) }
    }

    /// The moment at which the caller's next request is or was due; none when the time is over and nothing is left.
    pub async fn next(&self) -> Option<Instant> {
        if self.interval.is_none() {
            let now = Instant::now();
            if let Some(left) = &self.left {
                left.set(left.get().checked_sub(1)?);
            }
            return (now < self.end).then_some(now);
        }
        loop {
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Some(due);
            }
            if self.over.get() {
                return None;
            }
            self.one.notified().await;
        }
    }

    /// Keeps the constant rate until the end.
    pub async fn run(&self) -> anyhow::Result<()> {
        let Some(interval) = self.interval else { return Ok(()) };
        let mut last = Instant::now();
        let ticks = Ticks::every(interval).context("start a timer")?;
        while last + interval < self.end {
            for _ in 0..ticks.next().await.context("wait for a timer")? {
                last += interval;
                self.due.borrow_mut().push_back(last);
                self.one.notify_one();
            }
        }
        self.over.set(true);
        self.one.notify_waiters();
        Ok(())
    }

    /// How many were due and not taken.
    pub fn left(&self) -> u64 {
        self.due.borrow().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_request_of_a_constant_rate_is_handed_out_though_nobody_takes_it_in_time() {
        let end = Instant::now() + Duration::from_millis(50);
        let pace = Pace::new(Some(1000), end);
        pace.run().await.unwrap();
        let mut taken = 0;
        let mut last = None;
        while let Some(due) = pace.next().await {
            assert!(last.is_none_or(|last| due == last + Duration::from_millis(1)));
            (last, taken) = (Some(due), taken + 1);
        }
        assert!((49..=51).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_of_requests_ends_with_the_last_of_them() {
        let pace = Pace::counted(2, Instant::now() + Duration::from_secs(1));
        assert!(pace.next().await.is_some() && pace.next().await.is_some());
        assert!(pace.next().await.is_none());
    }
}
