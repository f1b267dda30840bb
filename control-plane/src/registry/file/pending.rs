//! When a file that was written to is read: once its writer has closed it, or else after a short quiet.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use tokio::time::Instant;

/// A writer that has not written for so long has most likely said what it had to say.
const QUIET: Duration = Duration::from_millis(40);
/// One that goes on writing is read all the same after so long.
const LONGEST: Duration = Duration::from_millis(80);
/// One that left the file broken, or with less in it than before, is given so long to go on.
const HELD: Duration = Duration::from_secs(2);

/// Files that have to be read, and when.
#[derive(Default)]
pub(super) struct Pending(HashMap<PathBuf, Write>);

struct Write {
    first: Instant,
    due: Instant,
    complete: bool,
    held: bool,
}

impl Pending {
    /// Something was written, and more may follow.
    pub(super) fn written(&mut self, path: PathBuf) {
        let now = Instant::now();
        let write = self.0.entry(path).or_insert(Write { first: now, due: now, complete: false, held: false });
        if !write.complete && !write.held {
            write.due = (now + QUIET).min(write.first + LONGEST);
        }
    }

    /// The writer has closed it, or it was put there or taken away in one step.
    pub(super) fn complete(&mut self, path: PathBuf) {
        let now = Instant::now();
        self.0.insert(path, Write { first: now, due: now, complete: true, held: false });
    }

    /// What was read looked unfinished: it is read again when it is complete, or after a while as it is.
    pub(super) fn hold(&mut self, path: PathBuf) {
        let now = Instant::now();
        self.0.insert(path, Write { first: now, due: now + HELD, complete: false, held: true });
    }

    /// Whether a file will be read anyway.
    pub(super) fn contains(&self, path: &PathBuf) -> bool {
        self.0.contains_key(path)
    }

    /// When the next file is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().map(|write| write.due).min()
    }

    /// The files that are due, and whether each is to be taken as it is.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(PathBuf, bool)> {
        let due = self.0.extract_if(|_, write| write.due <= now);
        due.map(|(path, write)| (path, write.complete || write.held)).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_at_once_when_its_writer_has_closed_it() {
        let mut pending = Pending::default();
        pending.written("a.yaml".into());
        assert!(pending.take_due(Instant::now()).is_empty());
        pending.complete("a.yaml".into());
        assert_eq!(pending.take_due(Instant::now()), [("a.yaml".into(), true)]);
        assert_eq!(pending.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_never_rests_is_read_within_the_limit() {
        let mut pending = Pending::default();
        let start = Instant::now();
        for _ in 0..20 {
            pending.written("a.yaml".into());
            if let [(_, complete)] = &*pending.take_due(Instant::now()) {
                assert!(!complete);
                assert_eq!(start.elapsed(), LONGEST);
                return;
            }
            advance(Duration::from_millis(10)).await;
        }
        panic!("it was never due");
    }

    #[tokio::test(start_paused = true)]
    async fn what_looked_unfinished_waits_for_the_writer_but_not_for_ever() {
        let mut pending = Pending::default();
        pending.hold("a.yaml".into());
        pending.written("a.yaml".into());
        advance(LONGEST).await;
        assert!(pending.take_due(Instant::now()).is_empty());
        advance(HELD).await;
        assert_eq!(pending.take_due(Instant::now()), [("a.yaml".into(), true)]);
    }
}
