//! The handle that connections watch, on any thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// Which phase of its end the proxy is in. Cheap to clone; works on every runtime.
#[derive(Clone, Default)]
pub struct Drain {
    phases: Arc<Phases>,
}

#[derive(Default)]
struct Phases {
    /// Beside the token, because asking a token takes a lock and this is asked for every request.
    draining: AtomicBool,
    drain: CancellationToken,
    leave: CancellationToken,
    stop: CancellationToken,
    in_flight: TaskTracker,
}

/// Something in flight, which the end of the process waits for until this is dropped.
#[must_use = "dropping it says that the work is over"]
pub struct Hold {
    _token: TaskTrackerToken,
}

impl Drain {
    /// Whether clients should be sent elsewhere: one atomic load.
    pub fn is_draining(&self) -> bool {
        self.phases.draining.load(Ordering::Relaxed)
    }

    /// Waits until clients should be sent elsewhere. Cancel-safe.
    pub async fn draining(&self) {
        self.phases.drain.cancelled().await;
    }

    /// Waits until the process ends once nothing is in flight: idle connections should close. Cancel-safe.
    pub async fn leaving(&self) {
        self.phases.leave.cancelled().await;
    }

    /// Waits until everything must end. Cancel-safe.
    pub async fn stopped(&self) {
        self.phases.stop.cancelled().await;
    }

    /// Whether everything must end.
    pub fn is_stopped(&self) -> bool {
        self.phases.stop.is_cancelled()
    }

    /// Keeps the process from ending, until the deadline. One for each connection, not for each request.
    pub fn hold(&self) -> Hold {
        Hold { _token: self.phases.in_flight.token() }
    }

    /// How many holds there are.
    pub fn in_flight(&self) -> usize {
        self.phases.in_flight.len()
    }

    /// True the first time.
    pub(super) fn start(&self) -> bool {
        let first = !self.phases.draining.swap(true, Ordering::Relaxed);
        self.phases.drain.cancel();
        first
    }

    /// True the first time.
    pub(super) fn leave(&self) -> bool {
        let first = self.phases.in_flight.close();
        self.phases.leave.cancel();
        first
    }

    pub(super) fn stop(&self) {
        self.phases.stop.cancel();
    }

    pub(super) fn stop_token(&self) -> CancellationToken {
        self.phases.stop.clone()
    }

    /// Waits until nothing is held. Only after [`Self::leave`].
    pub(super) async fn idle(&self) {
        self.phases.in_flight.wait().await;
    }
}
