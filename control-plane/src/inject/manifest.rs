//! Injection of manifests: what `weft inject` does, without a cluster.
//!
//! A document that has no pod in it passes through as it was written, comments and all.

use serde_json::Value;

use super::{InjectSettings, Outcome, Refusal, Skip, Warning, inject, object::Namespace};

/// A manifest that cannot be injected.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not YAML.
    #[error("document {number} (line {line}) is not YAML that can be read")]
    Yaml {
        /// From 1.
        number: usize,
        /// Where the document begins, from 1.
        line: usize,
        /// The parser's word.
        source: serde_yaml_ng::Error,
    },
    /// A pod in it must not start as it is.
    #[error("{name}")]
    Refused {
        /// Kind and name of the object.
        name: String,
        /// Why.
        source: Refusal,
    },
    /// The result cannot be written as YAML.
    #[error("document {number} cannot be written as YAML")]
    Write {
        /// From 1.
        number: usize,
        /// The writer's word.
        source: serde_yaml_ng::Error,
    },
}

/// What was done to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Kind and name, as `deployment/users`.
    pub name: String,
    /// What became of it.
    pub done: Done,
}

/// What became of an object with pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Its pods get a sidecar, and this is worth knowing.
    Injected(Vec<Warning>),
    /// Its pods stay as they are.
    Skipped(Skip),
}

/// Injects every pod and pod template of a YAML text.
///
/// # Errors
/// The first document that cannot be read, or the first pod that must not start as it is.
pub fn inject_text(text: &str, settings: &InjectSettings) -> Result<(String, Vec<Report>), ManifestError> {
    let (mut output, mut reports) = (String::new(), Vec::new());
    let mut line = 1;
    for (number, document) in (1..).zip(documents(text)) {
        let already = reports.len();
        let parsed = serde_yaml_ng::from_str::<Value>(document);
        let mut value = parsed.map_err(|source| ManifestError::Yaml { number, line, source })?;
        inject_object(&mut value, settings, &mut reports)?;
        let changed = reports[already..].iter().any(|report| matches!(report.done, Done::Injected(_)));
        if changed {
            output.push_str("---\n");
            output += &serde_yaml_ng::to_string(&value).map_err(|source| ManifestError::Write { number, source })?;
        } else {
            output.push_str(document);
        }
        line += document.matches('\n').count();
    }
    Ok((output, reports))
}

/// Splits at lines that begin with `---` (YAML 1.2, 9.2); the marker's line belongs to the document that it opens.
fn documents(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        if at > start && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) {
            found.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    found.push(&text[start..]);
    found
}

/// One object, or the items of a list.
fn inject_object(
    object: &mut Value,
    settings: &InjectSettings,
    reports: &mut Vec<Report>,
) -> Result<(), ManifestError> {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if kind == "List" || kind == "PodList" {
        for item in object["items"].as_array_mut().into_iter().flatten() {
            inject_object(item, settings, reports)?;
        }
        return Ok(());
    }
    let Some(pod) = template(&kind).and_then(|path| object.pointer(path)) else { return Ok(()) };
    let name = name(&kind, object);
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
    let namespace = Namespace { name: namespace, ..Namespace::default() };
    let outcome = inject(pod, &namespace, settings);
    let outcome = outcome.map_err(|source| ManifestError::Refused { name: name.clone(), source })?;
    let done = match outcome {
        Outcome::Skipped(skip) => Done::Skipped(skip),
        Outcome::Injected(injected) => {
            if let Some(place) = template(&kind).and_then(|path| object.pointer_mut(path)) {
                *place = injected.pod;
            }
            Done::Injected(injected.warnings)
        }
    };
    reports.push(Report { name, done });
    Ok(())
}

/// Where the pod, or its template, stands in an object of this kind.
fn template(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some(""),
        "DaemonSet" | "Deployment" | "Job" | "ReplicaSet" | "ReplicationController" | "StatefulSet" => {
            Some("/spec/template")
        }
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        "PodTemplate" => Some("/template"),
        _ => None,
    }
}

fn name(kind: &str, object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().or_else(|| metadata["generateName"].as_str()).unwrap_or_default();
    format!("{}/{name}", kind.to_lowercase())
}
