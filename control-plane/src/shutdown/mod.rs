//! Ending in order: *drain* (nothing new, finish the rest), then *stop* at the deadline.
//!
//! Every task is spawned here and joined here. A critical task that ends before the drain ends the process.

use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::OnceCell, task::JoinError, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

/// The process's end. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<OnceCell<TaskFailed>>,
}

/// A critical task has ended while it should not have.
#[derive(Clone, Debug)]
pub struct TaskFailed {
    /// The task.
    pub task: &'static str,
    /// What it said; None: it ended without an error.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} ended before its time", self.task)
    }
}

impl Error for TaskFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
    }
}

/// How work on a thread of its own came to an end.
#[derive(Debug, thiserror::Error)]
enum Apart<E: Error + 'static> {
    #[error(transparent)]
    Ended(E),
    #[error("its thread is gone")]
    Gone(#[from] JoinError),
}

impl Shutdown {
    /// Begins the drain.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Waits until the drain begins. Cancel-safe.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// The drain as a token, for what takes one.
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Ends what is still there, without waiting for it.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Spawns a critical task: when it ends before the drain, the drain begins, and [`Shutdown::finished`] says why.
    pub fn spawn<E>(&self, task: &'static str, work: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Error + Send + Sync + 'static,
    {
        let shutdown = self.clone();
        self.run(async move {
            let ended = work.await;
            if shutdown.drain.is_cancelled() && ended.is_ok() {
                return;
            }
            let cause = ended.err().map(|cause| Arc::new(cause) as Arc<dyn Error + Send + Sync>);
            error!(task, cause = cause.as_ref().map(tracing::field::display), "a critical task has ended");
            // The first that ends is the one that is told of.
            let _first = shutdown.failed.set(TaskFailed { task, cause });
            shutdown.drain();
        });
    }

    /// Spawns a critical task whose work is polled on a thread of its own, so that it does not queue behind thousands of
    /// streams.
    pub fn spawn_apart<E>(&self, task: &'static str, work: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Error + Send + Sync + 'static,
    {
        let runtime = Handle::current();
        let apart = tokio::task::spawn_blocking(move || runtime.block_on(work));
        self.spawn(task, async move { apart.await?.map_err(Apart::Ended) });
    }

    /// Spawns a task that may end when it likes: a connection's.
    pub fn spawn_connection(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.run(work);
    }

    /// Waits for the drain, then for all tasks, until the deadline. What is not done by then is ended.
    ///
    /// # Errors
    /// A critical task has ended before its time.
    pub async fn finished(&self, deadline: Duration) -> Result<(), TaskFailed> {
        self.draining().await;
        self.tasks.close();
        let done = tokio::select! {
            done = timeout(deadline, self.tasks.wait()) => done.is_ok(),
            () = self.stop.cancelled() => false,
        };
        if !done {
            self.stop();
            self.tasks.wait().await;
        }
        self.failed.get().cloned().map_or(Ok(()), Err)
    }

    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_by_the_deadline_is_ended() {
        let shutdown = Shutdown::default();
        shutdown.spawn("endless", std::future::pending::<Result<(), Infallible>>());
        shutdown.drain();
        let began = tokio::time::Instant::now();
        shutdown.finished(Duration::from_secs(5)).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_critical_task_that_ends_takes_the_process_along() {
        let shutdown = Shutdown::default();
        shutdown.spawn("registry", async { Err(io::Error::other("gone")) });
        let failed = shutdown.finished(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!((failed.task, failed.source().unwrap().to_string()), ("registry", "gone".to_owned()));
    }
}
