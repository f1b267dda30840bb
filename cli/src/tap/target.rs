//! What the user names: a target as kubectl users write it, and statuses.

use std::str::FromStr;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The plural of its kind.
    pub(super) resource: &'static str,
    pub(super) name: String,
}

/// Statuses from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statuses {
    pub(super) least: u16,
    pub(super) most: u16,
}

/// A word that is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum WordError {
    #[error("say what {name:?} is: deployment/{name}, pod/{name} or service/{name}, for example")]
    NoKind { name: String },
    #[error(
        "a {kind:?} cannot be tapped, but a deployment, pod, service, statefulset, daemonset, replicaset or job can"
    )]
    Kind { kind: String },
    #[error("{name:?} is no name of a Kubernetes object: small letters, digits, - and .")]
    Name { name: String },
    #[error("no status: 503, 5xx and 400-599 are")]
    Status,
}

impl FromStr for Target {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let Some((kind, name)) = text.split_once('/') else { return Err(WordError::NoKind { name: text.to_owned() }) };
        let resource = match kind {
            "po" | "pod" | "pods" => "pods",
            "svc" | "service" | "services" => "services",
            "deploy" | "deployment" | "deployments" => "deployments",
            "sts" | "statefulset" | "statefulsets" => "statefulsets",
            "ds" | "daemonset" | "daemonsets" => "daemonsets",
            "rs" | "replicaset" | "replicasets" => "replicasets",
            "job" | "jobs" => "jobs",
            _ => return Err(WordError::Kind { kind: kind.to_owned() }),
        };
        let is_named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if name.is_empty() || name.starts_with('.') || !name.chars().all(is_named) {
            return Err(WordError::Name { name: name.to_owned() });
        }
        Ok(Self { resource, name: name.to_owned() })
    }
}

impl FromStr for Statuses {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let status = |text: &str| text.parse().ok().filter(|status| (100..=999).contains(status));
        let (least, most) = match (text.split_once('-'), text.strip_suffix("xx")) {
            (Some((least, most)), _) => (status(least), status(most)),
            (None, Some(class)) => (status(&format!("{class}00")), status(&format!("{class}99"))),
            (None, None) => (status(text), status(text)),
        };
        match (least, most) {
            (Some(least), Some(most)) if least <= most => Ok(Self { least, most }),
            _ => Err(WordError::Status),
        }
    }
}

#[cfg(test)]
mod tests {
    use weft_control_plane::tap::RESOURCES;

    use super::*;

    #[test]
    fn a_target_is_written_as_for_kubectl() {
        for (text, resource) in
            [("deploy/a", "deployments"), ("po/a", "pods"), ("svc/a", "services"), ("jobs/a", "jobs")]
        {
            assert_eq!(text.parse::<Target>().unwrap(), Target { resource, name: "a".into() });
        }
        for resource in RESOURCES {
            assert_eq!(format!("{resource}/a").parse::<Target>().unwrap().resource, resource);
        }
    }

    #[test]
    fn what_is_no_target_says_what_one_is() {
        let told = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        assert!(told("users").contains("deployment/users"));
        assert!(told("cronjob/a").contains("cronjob"));
        for text in ["pod/", "pod/a/b", "pod/../x", "pod/A", "pod/a?b", "pod/.."] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn statuses_are_one_a_class_or_a_range() {
        let read = |text: &str| text.parse::<Statuses>().ok().map(|all| (all.least, all.most));
        assert_eq!(read("503"), Some((503, 503)));
        assert_eq!(read("5xx"), Some((500, 599)));
        assert_eq!(read("400-599"), Some((400, 599)));
        for text in ["", "xx", "5x", "99", "599-400", "5xx-6xx", "1000", "-5"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
