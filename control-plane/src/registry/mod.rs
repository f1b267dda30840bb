//! Where Services, pods and policies come from.
//!
//! A registry watches one source and tells of changes as [`Event`]s of objects that `translate` has made out of
//! Kubernetes kinds. It keeps nothing that the index keeps, and decides nothing that `resolve` decides.

pub mod file;
pub mod translate;

use std::{future::Future, path::Path};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::index::{Object, ObjectKey};

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
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Complaint {
    fn new(file: &Path, line: usize, message: String) -> Self {
        Self { file: file.display().to_string(), line, message }
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
