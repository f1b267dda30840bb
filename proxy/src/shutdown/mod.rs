//! How the proxy ends: it drains, leaves and stops.
//!
//! - *drain*: clients are told to go elsewhere (GOAWAY, `Connection: close`); whatever still comes is served. Asked for by
//!   the preStop hook; without end by itself.
//! - *leave*: as drain, and the process ends once nothing is in flight, or at the deadline. The first SIGTERM or SIGINT.
//! - *stop*: everything ends now. The deadline, the second signal, or a critical task that ended.
//!
//! This module only says which of these it is. What a connection does about it is the connection's own affair.

mod drain;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

pub use drain::{Drain, Hold};

/// How long tasks of the control runtime may take to end after stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The deadline passed with so many still in flight.
    DeadlinePassed {
        /// Connections that were cut.
        left: usize,
    },
    /// All that was in flight has ended.
    Drained,
    /// Somebody asked not to wait.
    Stopped,
    /// A task that the proxy cannot do without has ended.
    TaskEnded {
        /// The task's name.
        name: &'static str,
    },
}

/// Owns the tasks of the control runtime and the decision to end. Cheap to clone.
#[derive(Clone)]
pub struct Shutdown {
    deadline: Duration,
    drain: Drain,
    tasks: TaskTracker,
    ended: Arc<OnceLock<&'static str>>,
}

impl Shutdown {
    /// `deadline`: how long what is in flight may take once the proxy leaves.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, drain: Drain::default(), tasks: TaskTracker::new(), ended: Arc::default() }
    }

    /// What workers and connections watch.
    pub fn handle(&self) -> Drain {
        self.drain.clone()
    }

    /// Starts to send clients elsewhere, and goes on serving.
    pub fn drain(&self) {
        if self.drain.start() {
            info!("draining");
        }
    }

    /// Drains, and ends the process once nothing is in flight, or at the deadline.
    pub fn leave(&self) {
        self.drain();
        if self.drain.leave() {
            info!(deadline = ?self.deadline, in_flight = self.drain.in_flight(), "leaving");
        }
    }

    /// Ends everything now.
    pub fn stop(&self) {
        self.leave();
        self.drain.stop();
    }

    /// Runs a task that the proxy cannot do without, on the control runtime.
    ///
    /// The task ends soon after the token that it is given is cancelled. If it ends (or panics) before, the process ends.
    pub fn spawn<E, F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        E: fmt::Display,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let watch = TaskWatch { name, shutdown: self.clone() };
        let running = task(self.drain.stop_token());
        self.tasks.spawn(async move {
            let watch = watch; // the whole of it: a closure takes only the fields that it names
            if let Err(error) = running.await {
                error!(task = watch.name, %error, "task ended");
            }
        });
    }

    /// Leaves at the first SIGTERM or SIGINT, stops at the second.
    ///
    /// # Errors
    /// The kernel does not take the handlers.
    pub fn watch_signals(&self) -> io::Result<()> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        self.spawn("signals", |stop| follow(shutdown, terminate, interrupt, stop));
        Ok(())
    }

    /// Waits until the process should end, then ends all tasks. Call once.
    pub async fn run(&self) -> Ending {
        let ending = tokio::select! {
            biased;
            () = self.drain.stopped() => Ending::Stopped,
            ending = self.drained() => ending,
        };
        self.stop();
        self.tasks.close();
        if timeout(LAST_WORDS, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "tasks did not end in time");
        }
        match self.ended.get() {
            Some(name) => Ending::TaskEnded { name },
            None => ending,
        }
    }

    async fn drained(&self) -> Ending {
        self.drain.leaving().await;
        match timeout(self.deadline, self.drain.idle()).await {
            Ok(()) => Ending::Drained,
            Err(_) => Ending::DeadlinePassed { left: self.drain.in_flight() },
        }
    }
}

/// Notices the end of a task, however it came.
struct TaskWatch {
    name: &'static str,
    shutdown: Shutdown,
}

impl Drop for TaskWatch {
    fn drop(&mut self) {
        if !self.shutdown.drain.is_stopped() {
            // The first task that ended is the one to name: others may follow from it.
            let _ = self.shutdown.ended.set(self.name);
            self.shutdown.stop();
        }
    }
}

async fn follow(
    shutdown: Shutdown,
    mut terminate: Signal,
    mut interrupt: Signal,
    stop: CancellationToken,
) -> Result<(), io::Error> {
    for step in [Shutdown::leave, Shutdown::stop] {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = terminate.recv() => step(&shutdown),
            _ = interrupt.recv() => step(&shutdown),
        }
    }
    stop.cancelled().await;
    Ok(())
}
