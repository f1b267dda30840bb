//! Conditions as Kubernetes keeps them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What is to be said of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The condition's type.
    pub(super) about: &'static str,
    pub(super) holds: bool,
    /// A reason of the Gateway API, or of ours.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Verdict {
    /// As a condition of this generation. The time of the last transition is kept while what holds stays the same.
    pub(super) fn condition(self, generation: Option<i64>, before: &[Condition], now: &Time) -> Condition {
        let status = if self.holds { "True" } else { "False" };
        let known = before.iter().find(|one| one.type_ == self.about && one.status == status);
        Condition {
            type_: self.about.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: known.map_or_else(|| now.clone(), |known| known.last_transition_time.clone()),
        }
    }
}
