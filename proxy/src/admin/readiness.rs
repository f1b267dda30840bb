//! Whether the proxy is ready, and if not, what it waits for.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Conditions that all must hold. Each part of the proxy registers its own. Cheap to clone.
#[derive(Clone, Default)]
pub struct Readiness {
    states: Arc<Mutex<Vec<State>>>,
}

/// One condition as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct State {
    pub(super) name: &'static str,
    pub(super) ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// One part's say in whether the proxy is ready. Cheap to clone.
///
/// A condition is about what the proxy cannot work without. That the control plane is away is none, once there is a picture.
#[derive(Clone)]
pub struct Condition {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// Adds a condition that does not hold yet, for this reason.
    pub fn condition(&self, name: &'static str, reason: &str) -> Condition {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.push(State { name, ready: false, reason: Some(reason.to_owned()) });
        Condition { readiness: self.clone(), index: states.len() - 1 }
    }

    /// Whether all conditions hold.
    pub fn is_ready(&self) -> bool {
        self.states().iter().all(|state| state.ready)
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Condition {
    /// It holds.
    pub fn ready(&self) {
        self.set(true, None);
    }

    /// It does not hold, for this reason.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(false, Some(reason.into()));
    }

    fn set(&self, ready: bool, reason: Option<String>) {
        let mut states = self.readiness.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(self.index) {
            (state.ready, state.reason) = (ready, reason);
        }
    }
}
