//! Coarse timers: one wheel per worker, in which setting a timer is a store.
//!
//! A timer has at most one live place in the wheel. Moving its deadline further away leaves it there: when that place
//! comes up, it is put where the deadline is by then. So a connection that changes its deadline with every request
//! touches the wheel about once a timeout, and no timer of tokio's (which cost 20 % at 2,000 requests a second: an
//! eventfd write and a wake-up each). Timers are late by up to two ticks of 10 ms, never early.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use slab::Slab;
use tokio::time::Instant;

const TICK: Duration = Duration::from_millis(10);
const BUCKETS: u64 = 1024;
const NEVER: u64 = u64::MAX;

/// A worker's wheel. Somebody has to run [`Timers::drive`].
pub struct Timers {
    epoch: Instant,
    wheel: RefCell<Wheel>,
    driver: RefCell<Driver>,
}

/// Until when the driver sleeps, and how to tell it of something nearer.
struct Driver {
    until: u64,
    waker: Option<Waker>,
}

/// A deadline that may be moved as often as wished, for one waiting task at a time.
pub struct Timer {
    timers: Rc<Timers>,
    key: usize,
}

impl Timers {
    /// An empty wheel, whose first tick is now.
    pub fn new() -> Rc<Self> {
        let driver = Driver { until: NEVER, waker: None };
        Rc::new(Self { epoch: Instant::now(), wheel: RefCell::new(Wheel::new()), driver: RefCell::new(driver) })
    }

    /// A timer that is not set.
    pub fn timer(self: &Rc<Self>) -> Timer {
        let key = self.wheel.borrow_mut().add();
        Timer { timers: self.clone(), key }
    }

    /// Over after `after`, give or take a tick.
    pub async fn sleep(timers: Rc<Self>, after: Duration) {
        let timer = timers.timer();
        timer.within(after, std::future::pending::<()>()).await;
    }

    /// Turns the wheel for ever; sleeps while it has nothing to do.
    pub async fn drive(self: Rc<Self>) {
        loop {
            let next = self.wheel.borrow().next();
            *self.driver.borrow_mut() = Driver { until: next.unwrap_or(NEVER), waker: None };
            let mut sleep = pin!(async {
                match next {
                    Some(tick) => tokio::time::sleep_until(self.instant(tick)).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|cx| {
                let mut driver = self.driver.borrow_mut();
                if driver.until == 0 {
                    return Poll::Ready(());
                }
                driver.waker = Some(cx.waker().clone());
                sleep.as_mut().poll(cx)
            })
            .await;
            self.wheel.borrow_mut().turn(self.now());
        }
    }

    /// The tick that is going on; the first is 1, so that 0 is before all.
    fn now(&self) -> u64 {
        (self.epoch.elapsed().as_millis() / TICK.as_millis()) as u64 + 1
    }

    /// When a tick begins.
    fn instant(&self, tick: u64) -> Instant {
        self.epoch + TICK * u32::try_from(tick - 1).unwrap_or(u32::MAX)
    }
}

impl Timer {
    /// Moves the deadline to `after` from now.
    pub fn set(&self, after: Duration) {
        // One tick more, as the one that is going on has partly passed.
        let ticks = after.as_nanos().div_ceil(TICK.as_nanos()).min(u128::from(u32::MAX)) as u64;
        let deadline = self.timers.now() + ticks + 1;
        if !self.timers.wheel.borrow_mut().set(self.key, deadline) {
            return;
        }
        let mut driver = self.timers.driver.borrow_mut();
        if deadline < driver.until {
            driver.until = 0;
            driver.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// No deadline any more.
    pub fn clear(&self) {
        self.timers.wheel.borrow_mut().set(self.key, NEVER);
    }

    /// `None`: it took longer than `after`. The timer stays set; its next use moves it.
    pub fn within<F: Future>(&self, after: Duration, inner: F) -> Within<'_, F> {
        self.set(after);
        Within { timer: self, inner }
    }

    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let wheel = &mut *self.timers.wheel.borrow_mut();
        let entry = &mut wheel.entries[self.key];
        if entry.deadline <= wheel.done {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.wheel.borrow_mut().entries.remove(self.key);
    }
}

pin_project_lite::pin_project! {
    /// What [`Timer::within`] makes. Not an `async fn`, which would hold the inner future twice: as its argument, and
    /// pinned.
    pub struct Within<'a, F> {
        timer: &'a Timer,
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => this.timer.poll(cx).map(|()| None),
        }
    }
}

/// The wheel, without a clock.
struct Wheel {
    done: u64,
    buckets: Vec<Vec<Place>>,
    entries: Slab<Entry>,
    serial: u32,
}

struct Entry {
    serial: u32,
    deadline: u64,
    /// Which tick's bucket has it.
    queued: u64,
    waker: Option<Waker>,
}

/// An entry in a bucket, and which of the entries that had this key it was.
struct Place {
    key: usize,
    serial: u32,
}

impl Wheel {
    fn new() -> Self {
        Self { done: 0, buckets: (0..BUCKETS).map(|_| Vec::new()).collect(), entries: Slab::new(), serial: 0 }
    }

    fn add(&mut self) -> usize {
        self.serial = self.serial.wrapping_add(1);
        self.entries.insert(Entry { serial: self.serial, deadline: NEVER, queued: NEVER, waker: None })
    }

    /// True: the wheel has to turn at a tick of which it may not have known.
    fn set(&mut self, key: usize, deadline: u64) -> bool {
        let entry = &mut self.entries[key];
        entry.deadline = deadline;
        let nearer = deadline < entry.queued;
        if nearer {
            self.queue(key);
        }
        nearer
    }

    fn queue(&mut self, key: usize) {
        let entry = &mut self.entries[key];
        entry.queued = entry.deadline.clamp(self.done + 1, self.done + BUCKETS - 1);
        self.buckets[(entry.queued % BUCKETS) as usize].push(Place { key, serial: entry.serial });
    }

    /// The next tick that has something.
    fn next(&self) -> Option<u64> {
        (self.done + 1..self.done + BUCKETS).find(|tick| !self.buckets[(tick % BUCKETS) as usize].is_empty())
    }

    fn turn(&mut self, now: u64) {
        while self.done < now {
            self.done += 1;
            let at = (self.done % BUCKETS) as usize;
            if self.buckets[at].is_empty() {
                continue;
            }
            for place in std::mem::take(&mut self.buckets[at]) {
                self.come_up(&place);
            }
        }
    }

    fn come_up(&mut self, place: &Place) {
        let Some(entry) = self.entries.get_mut(place.key) else { return };
        if entry.serial != place.serial || entry.queued != self.done {
            return; // Another's, or it has a nearer place.
        }
        entry.queued = NEVER;
        if entry.deadline <= self.done {
            entry.waker.iter().for_each(Waker::wake_by_ref);
        } else if entry.deadline != NEVER {
            self.queue(place.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn deadlines_move_and_come() {
        let mut wheel = Wheel::new();
        wheel.turn(100);
        let key = wheel.add();
        assert!(wheel.set(key, 110));
        assert!(!wheel.set(key, 120), "further away is a store");
        wheel.turn(115);
        assert_eq!((wheel.entries[key].queued, wheel.next()), (120, Some(120)));
        assert!(wheel.set(key, 118));
        wheel.turn(118);
        assert_eq!(wheel.entries[key].queued, NEVER);
        assert!(wheel.set(key, 118 + 5 * BUCKETS));
        wheel.turn(118 + 5 * BUCKETS - 1);
        assert_ne!(wheel.entries[key].queued, NEVER);
        wheel.turn(118 + 5 * BUCKETS);
        assert_eq!(wheel.entries[key].queued, NEVER);
    }

    async fn with_timers<T>(body: impl AsyncFnOnce(Rc<Timers>) -> T) -> T {
        let timers = Timers::new();
        LocalSet::new()
            .run_until(async {
                tokio::task::spawn_local(timers.clone().drive());
                body(timers).await
            })
            .await
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_given_up_and_never_early() {
        with_timers(async |timers| {
            let timer = timers.timer();
            let start = Instant::now();
            assert_eq!(timer.within(Duration::from_millis(250), std::future::pending::<()>()).await, None);
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(250) && took <= Duration::from_millis(280), "{took:?}");
            assert_eq!(timer.within(Duration::from_secs(1), async { 7 }).await, Some(7));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_longer_than_the_wheel_hold() {
        with_timers(async |timers| {
            let start = Instant::now();
            Timers::sleep(timers.clone(), Duration::from_secs(60)).await;
            let took = start.elapsed();
            assert!(took >= Duration::from_secs(60) && took < Duration::from_millis(60_030), "{took:?}");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_cleared_timer_does_not_come_and_may_be_set_again() {
        with_timers(async |timers| {
            let timer = timers.timer();
            timer.set(Duration::from_millis(50));
            timer.clear();
            let waited = tokio::time::timeout(Duration::from_secs(20), poll_fn(|cx| timer.poll(cx))).await;
            assert!(waited.is_err());
            timer.set(Duration::from_millis(50));
            poll_fn(|cx| timer.poll(cx)).await;
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_nearer_timer_wakes_a_driver_that_sleeps_for_a_farther_one() {
        with_timers(async |timers| {
            let far = timers.timer();
            far.set(Duration::from_secs(5));
            tokio::task::yield_now().await;
            let start = Instant::now();
            Timers::sleep(timers.clone(), Duration::from_millis(100)).await;
            assert!(start.elapsed() < Duration::from_millis(130));
        })
        .await;
    }
}
