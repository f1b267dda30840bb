//! What the files of the folder say together. No IO.
//!
//! An object belongs to the first file, by name, that has it; where another has it too, that is warned of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{error, warn};

use super::{Broken, FolderError, document::Contents};
use crate::{
    error::chain,
    index::{Object, ObjectKey},
    registry::{Complaint, Condition, Event},
};

/// A file's state on disk, as far as it tells whether the file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    inode: u64,
    length: u64,
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { modified: (meta.mtime(), meta.mtime_nsec()), inode: meta.ino(), length: meta.len() }
    }
}

/// The files of a folder.
#[derive(Default)]
pub(super) struct Folder {
    files: BTreeMap<PathBuf, File>,
    /// Which files have an object. The first one's counts.
    owners: BTreeMap<ObjectKey, BTreeSet<PathBuf>>,
    events: Vec<Event>,
    trouble: Option<Complaint>,
    /// Something has been read or has gone since the condition was last asked for.
    touched: bool,
}

#[derive(Default)]
struct File {
    stamp: Option<Stamp>,
    /// As it was when it was last good.
    objects: BTreeMap<ObjectKey, (Object, usize)>,
    warnings: Vec<Complaint>,
    broken: Option<Complaint>,
}

impl Folder {
    /// What a file says now.
    pub(super) fn set(&mut self, path: PathBuf, stamp: Option<Stamp>, contents: Result<Contents, Broken>) {
        self.touched = true;
        let file = self.files.entry(path.clone()).or_default();
        file.stamp = stamp;
        match contents {
            Ok(contents) => {
                file.broken = None;
                let warnings = complaints(&path, &contents);
                if file.warnings != warnings {
                    for Complaint { place, message } in &warnings {
                        warn!(%place, problem = %message, "not understood");
                    }
                }
                file.warnings = warnings;
                self.replace(&path, contents);
            }
            Err(broken) => {
                let complaint = Complaint::in_file(&path, broken.line(), chain(&broken));
                if file.broken.as_ref() != Some(&complaint) {
                    let Complaint { place, message } = &complaint;
                    error!(%place, problem = %message, "file is broken, its last good state is kept");
                }
                file.broken = Some(complaint);
            }
        }
    }

    /// The file is gone.
    pub(super) fn remove(&mut self, path: &Path) {
        if self.files.contains_key(path) {
            self.touched = true;
            self.replace(path, Contents::default());
            self.files.remove(path);
        }
    }

    /// Whether these contents lack nothing that the file had until now.
    pub(super) fn only_adds(&self, path: &Path, contents: &Contents) -> bool {
        let Some(file) = self.files.get(path) else { return !contents.objects.is_empty() };
        let keys: BTreeSet<ObjectKey> = contents.objects.iter().map(|(object, _)| object.key()).collect();
        file.objects.keys().all(|key| keys.contains(key))
    }

    /// The state on disk of a file when it was last read.
    pub(super) fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path)?.stamp
    }

    /// The files that were there when they were last read.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().cloned()
    }

    /// Everything that all files say.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.owners.keys().filter_map(|key| self.current(key)).cloned().collect()
    }

    /// What has changed since this was last asked.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The folder itself cannot be read (any more), or can be again.
    pub(super) fn set_trouble(&mut self, path: &Path, trouble: Option<FolderError>) {
        let trouble = trouble.map(|trouble| Complaint::in_file(path, 1, chain(&trouble)));
        if let Some(one) = trouble.as_ref().filter(|one| self.trouble.as_ref() != Some(one)) {
            error!(place = %one.place, problem = %one.message, "folder cannot be read, what it said is kept");
        }
        self.touched |= self.trouble != trouble;
        self.trouble = trouble;
    }

    /// What is wrong with the files, if anything has been read since this was last asked.
    pub(super) fn take_condition(&mut self) -> Option<Arc<Condition>> {
        std::mem::take(&mut self.touched).then(|| self.condition())
    }

    fn condition(&self) -> Arc<Condition> {
        let broken = self.files.values().filter_map(|file| file.broken.clone());
        let twice = self.owners.iter().filter(|(_, files)| files.len() > 1).flat_map(|(key, files)| {
            let (first, others) = (files.first(), files.iter().skip(1));
            others.filter_map(move |path| {
                let (_, line) = self.files.get(path)?.objects.get(key)?;
                let message = format!("{} {} counts as {} has it", key.kind.as_str(), key.name, first?.display());
                Some(Complaint::in_file(path, *line, message))
            })
        });
        Arc::new(Condition {
            broken: self.trouble.clone().into_iter().chain(broken).collect(),
            warnings: self.files.values().flat_map(|file| file.warnings.iter().cloned()).chain(twice).collect(),
        })
    }

    fn replace(&mut self, path: &Path, contents: Contents) {
        let Some(file) = self.files.get_mut(path) else { return };
        let new: BTreeMap<_, _> = contents.objects.into_iter().map(|(one, line)| (one.key(), (one, line))).collect();
        let old = std::mem::replace(&mut file.objects, new);
        let now: BTreeSet<ObjectKey> = file.objects.keys().cloned().collect();
        for key in old.keys().filter(|key| !now.contains(key)) {
            if let Some(owners) = self.owners.get_mut(key) {
                owners.remove(path);
            }
        }
        for key in &now {
            self.owners.entry(key.clone()).or_default().insert(path.to_owned());
        }
        for key in old.into_keys().chain(now).collect::<BTreeSet<_>>() {
            let event = match self.current(&key).cloned() {
                Some(object) => Event::Apply(object),
                None => {
                    self.owners.remove(&key);
                    Event::Delete(key)
                }
            };
            self.events.push(event);
        }
    }

    fn current(&self, key: &ObjectKey) -> Option<&Object> {
        let owner = self.owners.get(key)?.first()?;
        self.files.get(owner)?.objects.get(key).map(|(object, _)| object)
    }
}

/// What a file's contents are warned of; an object that stands twice in one file is so, and its last place counts.
fn complaints(path: &Path, contents: &Contents) -> Vec<Complaint> {
    let warnings = contents.warnings.iter().map(|(line, finding)| Complaint::in_file(path, *line, finding.to_string()));
    let mut seen = BTreeSet::new();
    let twice = contents.objects.iter().rev().filter_map(|(object, line)| {
        let key = object.key();
        let message = format!("{} {} stands again further down, which counts", key.kind.as_str(), key.name);
        (!seen.insert(key)).then(|| Complaint::in_file(path, *line, message))
    });
    warnings.chain(twice).collect()
}
