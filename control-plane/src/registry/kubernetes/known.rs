//! What the watches have told, put together. No IO.
//!
//! Of objects it keeps the keys alone; the objects themselves are the index's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tracing::{debug, error, info, warn};

use super::{WatchError, item::Read, watch::Told};
use crate::{
    error::chain,
    index::{Object, ObjectKey, ObjectKind},
    registry::{Complaint, Condition, Event},
};

/// What is known of each kind, and what of it the index has not been told of.
pub(super) struct Known {
    kinds: BTreeMap<ObjectKind, Keys>,
    /// What there is, until every kind has been listed; the index is then told of all of it in one step.
    gathered: Option<BTreeMap<ObjectKey, Object>>,
    broken: BTreeMap<ObjectKey, Complaint>,
    warnings: BTreeMap<ObjectKey, Vec<Complaint>>,
    trouble: BTreeMap<ObjectKind, Complaint>,
    events: Vec<Event>,
    /// Something that is wrong is new or gone since the condition was last asked for.
    touched: bool,
}

/// The objects of one kind that the index has.
#[derive(Default)]
struct Keys {
    keys: BTreeSet<ObjectKey>,
    presence: Presence,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Unlisted,
    Listed,
    Absent,
}

impl Known {
    /// Nothing; these kinds are waited for.
    pub(super) fn new(kinds: impl IntoIterator<Item = ObjectKind>) -> Self {
        Self {
            kinds: kinds.into_iter().map(|kind| (kind, Keys::default())).collect(),
            gathered: Some(BTreeMap::new()),
            broken: BTreeMap::new(),
            warnings: BTreeMap::new(),
            trouble: BTreeMap::new(),
            events: Vec::new(),
            touched: true,
        }
    }

    /// Takes what the watch of this kind tells.
    pub(super) fn take(&mut self, kind: ObjectKind, told: Told) {
        match told {
            Told::Failed(error) => return self.fail(kind, &error),
            Told::Listed(objects) => self.list(kind, objects, Presence::Listed),
            Told::Absent => self.list(kind, Vec::new(), Presence::Absent),
            Told::Applied(read) => self.set(read),
            Told::Deleted(key) => self.remove(&key),
            Told::Unchanged => {}
        }
        if self.trouble.remove(&kind).is_some() {
            info!(kind = kind.as_str(), "heard of again");
            self.touched = true;
        }
        self.tell_of_all();
    }

    /// What has changed since this was last asked; at first nothing, then all that is there.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What is wrong, if that may differ since this was last asked.
    pub(super) fn take_condition(&mut self) -> Option<Arc<Condition>> {
        std::mem::take(&mut self.touched).then(|| {
            Arc::new(Condition {
                broken: self.trouble.values().chain(self.broken.values()).cloned().collect(),
                warnings: self.warnings.values().flatten().cloned().collect(),
            })
        })
    }

    fn fail(&mut self, kind: ObjectKind, error: &WatchError) {
        let complaint = Complaint::of_kind(kind, chain(error));
        if matches!(error, WatchError::Expired) {
            debug!(kind = kind.as_str(), problem = %complaint.message, "watch restarted");
            return;
        }
        // While it lasts the words may change with each try: the log has the first ones.
        if !self.trouble.contains_key(&kind) {
            warn!(kind = kind.as_str(), problem = %complaint.message, "not heard of, what is known is kept");
        }
        self.touched |= self.trouble.insert(kind, complaint.clone()) != Some(complaint);
    }

    fn list(&mut self, kind: ObjectKind, objects: Vec<Read>, presence: Presence) {
        let known = self.kinds.entry(kind).or_default();
        let before = std::mem::replace(&mut known.presence, presence);
        if before != presence {
            match presence {
                Presence::Absent => info!(kind = kind.as_str(), "the cluster does not have this kind (yet)"),
                _ => info!(kind = kind.as_str(), objects = objects.len(), "listed"),
            }
        }
        let listed: BTreeSet<&ObjectKey> = objects.iter().map(|read| &read.key).collect();
        let complained = self.broken.keys().chain(self.warnings.keys()).filter(|key| key.kind == kind);
        let gone = known.keys.iter().chain(complained).filter(|key| !listed.contains(key));
        for key in gone.cloned().collect::<BTreeSet<_>>() {
            self.remove(&key);
        }
        objects.into_iter().for_each(|read| self.set(read));
    }

    fn set(&mut self, read: Read) {
        let Read { key, outcome, warnings, .. } = read;
        let warnings: Vec<_> = warnings.iter().map(|finding| Complaint::of_object(&key, finding.to_string())).collect();
        match outcome {
            Ok(object) => {
                self.warn(&key, warnings);
                self.touched |= self.broken.remove(&key).is_some();
                match object {
                    Some(object) => self.apply(key, object),
                    None => self.delete(&key),
                }
            }
            Err(finding) => {
                let complaint = Complaint::of_object(&key, finding.to_string());
                if self.broken.get(&key) != Some(&complaint) {
                    let Complaint { place, message } = &complaint;
                    error!(%place, problem = %message, "object is broken, its last good state is kept");
                    self.broken.insert(key, complaint);
                    self.touched = true;
                }
            }
        }
    }

    fn warn(&mut self, key: &ObjectKey, warnings: Vec<Complaint>) {
        if self.warnings.get(key).is_some_and(|before| *before == warnings) {
            return;
        }
        for Complaint { place, message } in &warnings {
            warn!(%place, problem = %message, "not understood");
        }
        self.touched |= !warnings.is_empty();
        self.touched |= self.warnings.remove(key).is_some();
        if !warnings.is_empty() {
            self.warnings.insert(key.clone(), warnings);
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        self.touched |= self.broken.remove(key).is_some();
        self.touched |= self.warnings.remove(key).is_some();
        self.delete(key);
    }

    fn apply(&mut self, key: ObjectKey, object: Object) {
        match &mut self.gathered {
            Some(gathered) => drop(gathered.insert(key.clone(), object)),
            None => self.events.push(Event::Apply(object)),
        }
        self.kinds.entry(key.kind).or_default().keys.insert(key);
    }

    fn delete(&mut self, key: &ObjectKey) {
        let was_there = self.kinds.get_mut(&key.kind).is_some_and(|kind| kind.keys.remove(key));
        match &mut self.gathered {
            Some(gathered) => drop(gathered.remove(key)),
            None if was_there => self.events.push(Event::Delete(key.clone())),
            None => {}
        }
    }

    /// The first event: once every kind has been listed.
    fn tell_of_all(&mut self) {
        if self.kinds.values().all(|kind| kind.presence != Presence::Unlisted)
            && let Some(gathered) = self.gathered.take()
        {
            self.events.push(Event::Reset(gathered.into_values().collect()));
        }
    }
}
