//! The folder of a running sandbox: its lock, control socket, logs and the control plane's files.
//!
//! The lock is held by the supervisor alone, so the kernel lets go of it however the supervisor ends, and the next
//! start clears what was left.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// How long a start waits for a sandbox of its name that is just ending, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// Why a run folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// Another sandbox has this name.
    #[error(
        "a sandbox called {name} runs already: end it with `weft sandbox down --name {name}`, or give another --name"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// No sandbox has this name.
    #[error("no sandbox called {name} runs: start one with `weft sandbox up --name {name} -f FILE`")]
    NotRunning {
        /// The name.
        name: String,
    },
    /// The name cannot be a folder's.
    #[error("{name:?} cannot name a sandbox: letters, digits and dashes, at most 40")]
    Name {
        /// The name.
        name: String,
    },
    /// The system refuses a folder or file.
    #[error("cannot use the run folder {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A new run folder, locked.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    pub(crate) lock: File,
}

impl RunDir {
    /// Makes the folder of `name` after clearing what dead sandboxes left behind. A sandbox that is just ending is waited
    /// for, but not for long.
    pub(crate) async fn create(name: &str) -> Result<Self, RunDirError> {
        check(name)?;
        let base = base();
        let failed = |source| RunDirError::Io { path: base.clone(), source };
        make_folder(&base).map_err(failed)?;
        let path = base.join(name);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            clear_stale(&base);
            // Another start may clear the folder before it is locked, as it looks like a dead one until then.
            match make_folder(&path).and_then(|()| lock(&path)) {
                Ok(Some(lock)) => return Ok(Self { path, lock }),
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(RunDirError::Io { path, source });
                }
                Ok(None) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(RunDirError::Taken { name: name.to_owned() })
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The folder of a sandbox that runs.
pub(crate) fn find(name: &str) -> Result<PathBuf, RunDirError> {
    check(name)?;
    let path = base().join(name);
    let running = path.is_dir() && matches!(lock(&path), Ok(None));
    if running { Ok(path) } else { Err(RunDirError::NotRunning { name: name.to_owned() }) }
}

fn check(name: &str) -> Result<(), RunDirError> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(good) {
        return Err(RunDirError::Name { name: name.to_owned() });
    }
    Ok(())
}

fn base() -> PathBuf {
    let uid = nix::unistd::geteuid();
    if uid.is_root() && nix::unistd::access("/run", nix::unistd::AccessFlags::W_OK).is_ok() {
        return PathBuf::from("/run/weft-sandbox");
    }
    // Settings of the system, not of Weft: where this user's run files belong.
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(folder) if folder.is_dir() && !uid.is_root() => folder.join("weft-sandbox"),
        _ => std::env::temp_dir().join(format!("weft-sandbox-{uid}")),
    }
}

/// Locks `folder`; `None` where a live sandbox holds it. The lock is the open file's, so a process that inherits the
/// descriptor keeps it (nix's own guard would release it for all).
///
/// # Errors
/// `NotFound` where the folder has gone meanwhile.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join("lock");
    let file = File::options().create(true).append(true).open(&path)?;
    // SAFETY: the descriptor is open; flock takes integers only.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    // Someone may have cleared the folder between the open and the lock.
    let same = fs::metadata(&path)?.ino() == file.metadata()?.ino();
    if same { Ok(Some(file)) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn clear_stale(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if let Ok(Some(_lock)) = lock(&entry.path())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, folder = %entry.path().display(), "a dead sandbox's folder stays");
        }
    }
}
