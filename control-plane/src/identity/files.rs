//! Files that hold secrets: written in one step, and readable by their owner alone.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A file or folder that could not be read, made or written.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} cannot be {action}")]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// The system's word.
    pub source: io::Error,
}

fn because<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { path: path.to_owned(), action, source }
}

/// Makes a folder and those above it; the folder itself is its owner's alone, even when it was there before.
pub(super) fn private_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(because(path, "made"))?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(because(path, "made private"))
}

/// Puts a file in its place in one step: nobody sees half of it.
pub(super) fn put(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _left_over = fs::remove_file(&new);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).map_err(because(&new, "made"))?;
    // The mode above is cut by the umask, which would keep the bundle from those who are to read it.
    fs::set_permissions(&new, Permissions::from_mode(mode)).map_err(because(&new, "given its rights"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(because(&new, "written"))?;
    fs::rename(&new, path).map_err(because(path, "put in its place"))
}

/// A file's text. None: it is not there.
pub(super) fn text(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(because(path, "read")(error)),
    }
}
