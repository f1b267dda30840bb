//! Where Services, pods and policies come from.
//!
//! A registry watches one source and tells of changes as [`Event`]s of objects that `translate` has made out of
//! Kubernetes kinds. It keeps nothing that the index keeps, and decides nothing that `resolve` decides.

pub mod file;
pub mod kubernetes;
pub mod translate;

#[cfg(test)]
mod cases;

use std::{fmt, future::Future, path::Path};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::index::{Object, ObjectKey, ObjectKind};

/// A change in a registry.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The object is new or has changed.
    Apply(Object),
    /// The object is gone.
    Delete(ObjectKey),
    /// These objects, and no others, are there. The first event of every registry.
    Reset(Vec<Object>),
}

/// What is wrong with a registry's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What could not be taken; its last good state holds.
    pub broken: Vec<Complaint>,
    /// What was taken without the parts that are not understood.
    pub warnings: Vec<Complaint>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In a file of a folder.
    File {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: usize,
    },
    /// In a cluster.
    Object {
        /// A kind and a name, as in `HTTPRoute shop/users`; a whole kind without a name.
        object: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Object { object } => f.write_str(object),
        }
    }
}

impl Complaint {
    fn in_file(file: &Path, line: usize, message: String) -> Self {
        Self { place: Place::File { file: file.display().to_string(), line }, message }
    }

    fn of_object(key: &ObjectKey, message: String) -> Self {
        Self { place: Place::Object { object: format!("{} {}", key.kind.as_str(), key.name) }, message }
    }

    fn of_kind(kind: ObjectKind, message: String) -> Self {
        Self { place: Place::Object { object: kind.as_str().to_owned() }, message }
    }
}

/// A source of objects.
pub trait Registry: Send + 'static {
    /// Why it cannot go on.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Tells of changes, batch by batch, until it is stopped. The first batch holds an [`Event::Reset`] with all that
    /// is there; from then on the registry is synced.
    ///
    /// # Errors
    /// The source cannot be watched (any more). What it told stays as the last-known state.
    fn run(
        self,
        changes: impl FnMut(Vec<Event>) + Send + 'static,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
