//! What the system tells of a folder.

use std::path::{Path, PathBuf};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::mpsc;

use super::FolderError;

/// Something happened in the folder.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    /// A file was written to; its writer may go on.
    Written(PathBuf),
    /// A file is complete: closed by its writer, renamed or removed.
    Complete(PathBuf),
    /// Who knows: everything has to be looked at.
    Rescan,
}

/// Listens to a folder.
pub(super) struct Watcher {
    path: PathBuf,
    watcher: RecommendedWatcher,
    notices: mpsc::Receiver<Notice>,
}

impl Watcher {
    pub(super) fn new(path: &Path) -> Result<Self, FolderError> {
        let unwatchable = |source| FolderError::Unwatchable { path: path.to_owned(), source };
        let (sender, notices) = mpsc::channel(1024);
        // Full: the library's thread waits, the system's queue overflows, and that is told as a rescan.
        // Closed: nobody listens any more.
        let tell = move |event: notify::Result<notify::Event>| {
            read(event).into_iter().for_each(|notice| drop(sender.blocking_send(notice)));
        };
        let mut watcher = notify::recommended_watcher(tell).map_err(unwatchable)?;
        watcher.watch(path, RecursiveMode::NonRecursive).map_err(unwatchable)?;
        Ok(Self { path: path.to_owned(), watcher, notices })
    }

    /// A notice that is there already.
    pub(super) fn ready(&mut self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// The next notice. Cancel-safe.
    pub(super) async fn next(&mut self) -> Notice {
        match self.notices.recv().await {
            Some(notice) => notice,
            // The library's thread is gone: from here on the regular rescan has to do.
            None => std::future::pending().await,
        }
    }

    /// Watches the folder again, in case that another one has taken its place.
    pub(super) fn renew(&mut self) {
        let _known = self.watcher.unwatch(&self.path);
        // While the folder is not there the rescan says so.
        let _absent = self.watcher.watch(&self.path, RecursiveMode::NonRecursive);
    }
}

fn read(event: notify::Result<notify::Event>) -> Vec<Notice> {
    let Ok(event) = event else { return vec![Notice::Rescan] };
    if event.need_rescan() {
        return vec![Notice::Rescan];
    }
    let notice = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Notice::Complete,
        EventKind::Access(_) => return Vec::new(),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => Notice::Written,
        EventKind::Modify(ModifyKind::Name(_)) if event.paths.iter().any(|path| is_link_farm(path)) => {
            return vec![Notice::Rescan];
        }
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Notice::Complete,
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => return vec![Notice::Rescan],
    };
    event.paths.into_iter().map(notice).collect()
}

/// A mounted ConfigMap changes by renaming one hidden link, `..data`, behind all its files.
fn is_link_farm(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
}
