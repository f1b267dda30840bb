//! Retry budget: how much extra load retries may add to a destination.
//!
//! Decides *whether there is credit*. What is retryable: `mod.rs`. Body replay: `replay.rs`.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// What one retry costs.
const RETRY: i64 = 1000;

/// How many retries a destination's requests earn.
#[derive(Clone, Copy, Debug)]
pub struct BudgetSettings {
    /// Retries per request, 0.0–1.0. Default 0.2.
    pub ratio: f64,
    /// Retries per second that are always allowed. Default 1.
    pub floor: f64,
    /// How long credit lasts: it fades to 1/e in this time. At most this much of the floor is saved up. 1–60 s, default
    /// 10 s.
    pub window: Duration,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { ratio: 0.2, floor: 1.0, window: Duration::from_secs(10) }
    }
}

/// Credit earned by requests and spent by retries, of all workers. Never blocks.
///
/// Over any time T it allows at most `ratio` x requests + `floor` x (T + window) retries.
#[derive(Debug)]
pub struct Budget {
    /// Thousandths earned by one request.
    deposit: i64,
    /// Thousandths per second.
    floor: f64,
    /// Most thousandths that the floor saves up.
    floor_limit: i64,
    window: Duration,
    /// Thousandths, so 0.6 stays 0.6: whole tokens would round it up to 1.0.
    earned: AtomicI64,
    /// Thousandths from the floor.
    saved: AtomicI64,
    epoch: Instant,
    /// Milliseconds since the epoch at which credit was last reckoned up.
    reckoned: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(BudgetSettings::default())
    }
}

impl Budget {
    /// A budget with the floor's credit of one window.
    pub fn new(settings: BudgetSettings) -> Self {
        let floor = settings.floor.max(0.0) * RETRY as f64;
        let floor_limit = (floor * settings.window.as_secs_f64()) as i64;
        Self {
            deposit: (settings.ratio.clamp(0.0, 1.0) * RETRY as f64).round() as i64,
            floor,
            floor_limit,
            window: settings.window.max(Duration::from_secs(1)),
            earned: AtomicI64::new(0),
            saved: AtomicI64::new(floor_limit),
            epoch: Instant::now(),
            reckoned: AtomicU64::new(0),
        }
    }

    /// A request (not a retry) was made.
    pub fn deposit(&self) {
        self.reckon();
        self.earned.fetch_add(self.deposit, Relaxed);
    }

    /// Takes the credit for one retry, if there is any.
    pub fn withdraw(&self) -> bool {
        self.reckon();
        take(&self.earned) || take(&self.saved)
    }

    /// How many retries could be made now.
    pub fn credit(&self) -> u64 {
        self.reckon();
        let whole = |credit: &AtomicI64| u64::try_from(credit.load(Relaxed) / RETRY).unwrap_or(0);
        whole(&self.earned) + whole(&self.saved)
    }

    /// Lets earned credit fade and the floor grow, at most each 100 ms.
    fn reckon(&self) {
        const STEP: u64 = 100;
        let now = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let then = self.reckoned.load(Relaxed);
        let passed = now.saturating_sub(then);
        if passed < STEP || self.reckoned.compare_exchange(then, now, Relaxed, Relaxed).is_err() {
            return;
        }
        let seconds = passed as f64 / 1000.0;
        let earned = self.earned.load(Relaxed).max(0);
        let faded = earned as f64 * (1.0 - (-seconds / self.window.as_secs_f64()).exp());
        self.earned.fetch_sub(faded as i64, Relaxed);
        let room = (self.floor_limit - self.saved.load(Relaxed)).max(0);
        self.saved.fetch_add(room.min((self.floor * seconds) as i64), Relaxed);
    }
}

fn take(credit: &AtomicI64) -> bool {
    credit.fetch_update(Relaxed, Relaxed, |credit| (credit >= RETRY).then_some(credit - RETRY)).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    fn budget(ratio: f64, floor: f64) -> Budget {
        Budget::new(BudgetSettings { ratio, floor, window: Duration::from_secs(10) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_is_refused_once_the_credit_is_spent() {
        let budget = budget(0.2, 0.0);
        (0..5).for_each(|_| budget.deposit()); // five requests earn one retry
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ratio_of_three_fifths_stays_three_fifths() {
        let budget = budget(0.6, 0.0);
        (0..10).for_each(|_| budget.deposit());
        assert_eq!((0..10).filter(|_| budget.withdraw()).count(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_comes_back_each_second() {
        let budget = budget(0.0, 1.0);
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 10, "one window is saved up");
        advance(Duration::from_secs(3)).await;
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn credit_fades_when_requests_stop_and_not_while_they_come() {
        let budget = budget(0.2, 0.0);
        for _ in 0..600 {
            (0..10).for_each(|_| budget.deposit());
            advance(Duration::from_millis(100)).await;
        }
        assert!((150..=220).contains(&budget.credit()), "20/s for 10 s, was {}", budget.credit());
        advance(Duration::from_secs(60)).await;
        assert_eq!(budget.credit(), 0);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_ratio_and_floor(
            ratio in 0.0_f64..=1.0,
            floor in 0.0_f64..5.0,
            steps in prop::collection::vec((0_u32..40, 0_u32..40, 0_u64..3_000), 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (requests, retries, seconds) = runtime.block_on(async {
                let budget = budget(ratio, floor);
                let start = Instant::now();
                let (mut requests, mut retries) = (0, 0);
                for (deposits, withdrawals, pause) in steps {
                    (0..deposits).for_each(|_| budget.deposit());
                    requests += deposits;
                    retries += (0..withdrawals).filter(|_| budget.withdraw()).count();
                    advance(Duration::from_millis(pause)).await;
                }
                (requests, retries, start.elapsed().as_secs_f64())
            });
            let rounding = 0.001 * f64::from(requests);
            let allowed = ratio * f64::from(requests) + floor * (seconds + 10.0) + rounding;
            prop_assert!(retries as f64 <= allowed + 1e-6, "{} of {}", retries, allowed);
        }
    }
}
