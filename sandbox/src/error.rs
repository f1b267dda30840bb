//! Errors of the library's user, and how one is told with its causes in one line.

use std::io;

use crate::manifest::ManifestError;
use crate::rundir::RunDirError;

/// Why a sandbox did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The manifests cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The run folder cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The program that the supervisor is started from is not there.
    #[error("the program weft is neither beside this program nor in PATH: build it with `cargo build -p weft-cli`")]
    NoProgram,
    /// A system call failed.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The supervisor could not start.
    #[error("{reason}")]
    Failed {
        /// In its own words.
        reason: String,
    },
    /// The supervisor refused, in its own words.
    #[error("{reason}")]
    Refused {
        /// In its own words.
        reason: String,
    },
    /// The supervisor is gone.
    #[error("the sandbox has ended")]
    Ended,
}

/// Makes an error of a system call out of what was tried.
pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Io { doing, source }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = Vec::new();
    for text in causes.map(ToString::to_string) {
        if texts.last().is_none_or(|last| !last.ends_with(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
