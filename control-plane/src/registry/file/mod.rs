//! The file registry: a watched folder of Kubernetes YAML.
//!
//! Every `.yaml`, `.yml` and `.json` file of the folder itself is read; hidden files and folders within are not. A
//! change is told within 100 ms of the write that completes it. A file that is broken keeps its last good state and is
//! reported by file and line; a file that is gone takes its objects along.

mod document;
mod folder;
mod line;
mod notice;
mod pending;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub use document::{Broken, Contents, read};
use folder::{Folder, Stamp};
use notice::{Notice, Watcher};
use pending::Pending;

use super::{Condition, Event, Registry};

/// How often the folder is looked through without having been told, for file systems that do not tell.
const RESCAN: Duration = Duration::from_secs(10);

/// Notices that are taken before what they are about is read.
const BATCH: usize = 1024;

/// A watched folder.
pub struct FileRegistry {
    path: PathBuf,
    condition: watch::Sender<Arc<Condition>>,
}

/// A folder that cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be listed.
    #[error("the folder {path:?} cannot be read")]
    Unreadable {
        /// Which folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The system does not tell of changes in it.
    #[error("the folder {path:?} cannot be watched")]
    Unwatchable {
        /// Which folder.
        path: PathBuf,
        /// The library's word.
        source: notify::Error,
    },
    /// Reading was given up.
    #[error("reading the folder was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl FileRegistry {
    /// A registry over the folder at `path`, and where it says what is wrong with its files.
    pub fn new(path: impl Into<PathBuf>) -> (Self, watch::Receiver<Arc<Condition>>) {
        let (condition, receiver) = watch::channel(Arc::default());
        (Self { path: path.into(), condition }, receiver)
    }
}

impl Registry for FileRegistry {
    type Error = FolderError;

    async fn run(
        self,
        mut changes: impl FnMut(Vec<Event>) + Send + 'static,
        stop: CancellationToken,
    ) -> Result<(), FolderError> {
        // Watched before it is read: what changes in between is told of, and read again.
        let mut watcher = Watcher::new(&self.path)?;
        let mut reader = Reader { path: self.path, folder: Folder::default(), pending: Pending::default() };
        reader.rescan().await?;
        changes(vec![Event::Reset(reader.folder.objects())]);
        reader.folder.take_events();
        self.condition.send_replace(reader.folder.take_condition().unwrap_or_default());

        let mut rescan = interval_at(Instant::now() + RESCAN, RESCAN);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = reader.pending.next_due();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                notice = watcher.next() => {
                    reader.note(notice).await;
                    // What has come in the meantime is told in one batch.
                    for _ in 0..BATCH {
                        let Some(notice) = watcher.ready() else { break };
                        reader.note(notice).await;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = rescan.tick() => {
                    watcher.renew();
                    reader.note(Notice::Rescan).await;
                }
            }
            reader.read_due().await?;
            let events = reader.folder.take_events();
            if !events.is_empty() {
                changes(events);
            }
            if let Some(condition) = reader.folder.take_condition() {
                self.condition.send_if_modified(|known| {
                    let differs = *known != condition;
                    *known = condition;
                    differs
                });
            }
        }
    }
}

/// The folder as far as it has been read, and what of it has to be read again.
struct Reader {
    path: PathBuf,
    folder: Folder,
    pending: Pending,
}

impl Reader {
    async fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Written(path) if is_ours(&path) => self.pending.written(path),
            Notice::Complete(path) if is_ours(&path) => self.pending.complete(path),
            Notice::Written(_) | Notice::Complete(_) => {}
            Notice::Rescan => {
                let result = self.rescan().await;
                self.folder.set_trouble(&self.path, result.err());
            }
        }
    }

    /// Reads what has changed since it was read last, by its stamp; forgets what is gone.
    async fn rescan(&mut self) -> Result<(), FolderError> {
        let path = self.path.clone();
        let listed = tokio::task::spawn_blocking(move || stamps(&path)).await?;
        let listed = listed.map_err(|source| FolderError::Unreadable { path: self.path.clone(), source })?;
        let stale = listed
            .iter()
            .filter(|(path, stamp)| self.folder.stamp(path) != Some(**stamp) && !self.pending.contains(path));
        self.read(stale.map(|(path, _)| (path.clone(), true)).collect()).await?;
        let gone: Vec<PathBuf> = self.folder.paths().filter(|path| !listed.contains_key(path)).collect();
        gone.iter().for_each(|path| self.folder.remove(path));
        Ok(())
    }

    async fn read_due(&mut self) -> Result<(), FolderError> {
        let due = self.pending.take_due(Instant::now());
        if due.is_empty() {
            return Ok(());
        }
        self.read(due).await
    }

    /// Reads files and takes what they say; `true` beside a path: it is complete, and counts as it is.
    async fn read(&mut self, paths: Vec<(PathBuf, bool)>) -> Result<(), FolderError> {
        let read = move || paths.into_iter().map(|(path, complete)| (FileRead::of(&path), path, complete)).collect();
        let read: Vec<_> = tokio::task::spawn_blocking(read).await?;
        for (read, path, complete) in read {
            if !self.take(path.clone(), read, complete) {
                self.pending.hold(path);
            }
        }
        Ok(())
    }

    /// Whether it was taken. What is still open for writing is taken only if it is sound and takes nothing away:
    /// otherwise it is most likely a part of what is to come.
    fn take(&mut self, path: PathBuf, read: FileRead, complete: bool) -> bool {
        let Some(contents) = read.contents else {
            self.folder.remove(&path);
            return true;
        };
        if !complete && !contents.as_ref().is_ok_and(|contents| self.folder.only_adds(&path, contents)) {
            return false;
        }
        self.folder.set(path, read.stamp, contents);
        true
    }
}

/// A file as it was read.
struct FileRead {
    stamp: Option<Stamp>,
    /// None: it is not there.
    contents: Option<Result<Contents, Broken>>,
}

impl FileRead {
    /// Blocks.
    fn of(path: &Path) -> Self {
        let stamp = std::fs::metadata(path).map(|meta| Stamp::of(&meta)).ok();
        let contents = match std::fs::read(path) {
            Ok(bytes) => Some(read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(Broken::Unreadable(error))),
        };
        Self { stamp, contents }
    }
}

fn is_ours(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|one| extension == *one))
}

fn stamps(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Follows links: a mounted ConfigMap is made of them. What vanishes in between is not there.
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if meta.is_file() && is_ours(&path) {
            found.insert(path, Stamp::of(&meta));
        }
    }
    Ok(found)
}
