//! Label selectors, as Kubernetes defines them.

use std::collections::BTreeMap;

/// A label selector: all requirements must hold. Without any it selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// Labels that must have these values.
    pub labels: BTreeMap<String, String>,
    /// Further requirements.
    pub requirements: Vec<Requirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq)]
pub enum Requirement {
    /// The label has one of these values.
    In(String, Vec<String>),
    /// The label is absent or has none of these values.
    NotIn(String, Vec<String>),
    /// The label is there.
    Exists(String),
    /// The label is absent.
    DoesNotExist(String),
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        has_all(labels, &self.labels) && self.requirements.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

/// Whether all of the wanted labels are there with their values.
pub(crate) fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_requirement_must_hold() {
        let selector = Selector {
            labels: labels(&[("app", "users")]),
            requirements: vec![
                Requirement::In("tier".into(), vec!["front".into(), "back".into()]),
                Requirement::NotIn("track".into(), vec!["canary".into()]),
                Requirement::DoesNotExist("legacy".into()),
            ],
        };
        assert!(selector.matches(&labels(&[("app", "users"), ("tier", "back")])));
        assert!(!selector.matches(&labels(&[("app", "users")])));
        assert!(!selector.matches(&labels(&[("app", "users"), ("tier", "back"), ("track", "canary")])));
        assert!(!selector.matches(&labels(&[("app", "users"), ("tier", "back"), ("legacy", "")])));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(Selector::default().matches(&labels(&[])));
    }
}
