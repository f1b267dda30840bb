//! What annotations of a pod, or of its namespace, change about its sidecar: one table.
//!
//! The reading and docs/annotations.md come from the rows, so they cannot differ. A value is parsed by the parser that
//! the proxy itself has for it; one that cannot be used, or a name that is in no row, is refused.

mod table;

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use super::{INJECT, object::Namespace, object::Pod};
use crate::registry::translate::INJECTED;
use table::{Place, Row, TABLE};

const PREFIX: &str = "weft.dev/";

/// An annotation that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// It is in no row.
    #[error(
        "{place} has the unknown annotation {name}: did you mean weft.dev/{nearest}? docs/annotations.md lists all"
    )]
    Unknown {
        /// `the pod`, or the namespace by name.
        place: String,
        /// As it was written.
        name: String,
        /// What it looks like most.
        nearest: &'static str,
    },
    /// It is a label.
    #[error("{place} has the annotation weft.dev/inject, which is a label: move it to metadata.labels")]
    IsLabel {
        /// `the pod`, or the namespace by name.
        place: String,
    },
    /// Its value cannot be used.
    #[error("annotation weft.dev/{name}: {value:?} of {place} cannot be used: it must be {expected}")]
    Unusable {
        /// `the pod`, or the namespace by name.
        place: String,
        /// Without the prefix.
        name: &'static str,
        /// As it was written.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// What the annotations of one pod say, all of it checked. The pod's own win over its namespace's.
#[derive(Debug)]
pub(super) struct Overrides {
    values: BTreeMap<&'static str, String>,
    /// Resources that the pod as a whole has a bound for: a default of ours may not fit into it.
    bounded: Vec<&'static str>,
}

/// Which of the two containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Proxy,
    Redirect,
}

impl Overrides {
    /// # Errors
    /// Everything that is wrong with the annotations, not just the first.
    pub(super) fn read(pod: Pod<'_>, namespace: &Namespace) -> Result<Self, Vec<AnnotationError>> {
        let (mut found, mut errors) = (BTreeMap::new(), Vec::new());
        let place = format!("namespace {}", namespace.name);
        for (name, value) in &namespace.annotations {
            take(&place, (name, value), &mut found, &mut errors);
        }
        for (name, value) in pod.annotations() {
            // The API server has texts only; a manifest may have numbers, which kubectl would refuse.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            take("the pod", (name, &text), &mut found, &mut errors);
        }
        let bounded = ["cpu", "memory"].into_iter().filter(|resource| pod.bounds(resource)).collect();
        if errors.is_empty() { Ok(Self { values: found, bounded }) } else { Err(errors) }
    }

    /// The image, if another one is asked for.
    pub(super) fn image(&self) -> Option<&str> {
        TABLE.iter().find(|row| row.place == Place::Image).and_then(|row| self.value(row.name))
    }

    /// The variables of a container.
    pub(super) fn variables(&self, target: Target) -> Vec<Value> {
        let rows = TABLE.iter().filter_map(|row| Some((row.place.variable(target)?, self.value(row.name)?)));
        rows.map(|(name, value)| json!({ "name": name, "value": value })).collect()
    }

    /// What a container asks for, and what it may take.
    pub(super) fn resources(&self, target: Target) -> Value {
        let mut resources = json!({ "requests": {}, "limits": {} });
        for row in &TABLE {
            let Place::Resource(bound, resource) = row.place else { continue };
            let (asked, default) = match target {
                Target::Proxy => (self.value(row.name), row.default),
                Target::Redirect => (None, self.for_redirect(row)),
            };
            let default = default.filter(|_| !self.bounded.contains(&resource));
            if let Some(amount) = asked.or(default) {
                resources[bound][resource] = json!(amount);
            }
        }
        resources
    }

    /// The redirect ends before the app starts, so what it asks for is not added to what the pod asks for. It has a limit
    /// of everything, because a quota may demand one.
    fn for_redirect(&self, row: &'static Row) -> Option<&str> {
        match row.place {
            Place::Resource("requests", "cpu") => Some("10m"),
            Place::Resource("limits", "cpu") => self.value(row.name).or(Some("100m")),
            Place::Resource("requests", "memory") => Some("16Mi"),
            Place::Resource("limits", "memory") => Some("64Mi"),
            _ => None,
        }
    }

    /// What the control plane reads of the pod itself.
    pub(super) fn kept(&self) -> impl Iterator<Item = (String, &str)> {
        let rows = TABLE.iter().filter(|row| row.place == Place::Pod);
        rows.filter_map(|row| Some((format!("{PREFIX}{}", row.name), self.value(row.name)?)))
    }

    /// An empty value counts as unset.
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn take(
    place: &str,
    (name, value): (&str, &str),
    found: &mut BTreeMap<&'static str, String>,
    errors: &mut Vec<AnnotationError>,
) {
    let Some(short) = name.strip_prefix(PREFIX).filter(|_| name != INJECTED) else { return };
    let place = place.to_owned();
    if name == INJECT {
        return errors.push(AnnotationError::IsLabel { place });
    }
    let Some(row) = TABLE.iter().find(|row| row.name == short) else {
        let names = TABLE.iter().map(|row| row.name);
        let nearest = names.min_by_key(|known| strsim::osa_distance(short, known)).unwrap_or_default();
        return errors.push(AnnotationError::Unknown { place, name: name.to_owned(), nearest });
    };
    let value = value.trim();
    match (row.check)(value) {
        Err(expected) if !value.is_empty() => {
            let (name, value) = (row.name, value.to_owned());
            errors.push(AnnotationError::Unusable { place, name, value, expected: expected.0 });
        }
        _ => {
            found.insert(row.name, value.to_owned());
        }
    }
}

const OPENING: &str = "# Annotations

Printed by `weft-control-plane docs annotations` from the table in control-plane/src/inject/annotation/; a test keeps it
true. They stand on a pod (in a Deployment: on `spec.template.metadata`), or on a namespace as the default of its pods, and
count when a pod is made. Where the pod has `spec.resources` for CPU or memory, there are no defaults for it. A value that
cannot be used, or an unknown name under `weft.dev/`, is refused at admission with a message that says what to write. An
empty value is the default.

Whether a pod is injected at all is said by a *label*: `weft.dev/inject: enabled` on a namespace or a pod, `disabled` on a
pod that declines. The injector marks what it has injected with the annotation `weft.dev/injected: \"true\"`.

| annotation | default | what it is | why |
|---|---|---|---|
";

/// docs/annotations.md.
pub fn markdown() -> String {
    let mut page = OPENING.to_owned();
    for row in &TABLE {
        let default = row.default.map_or_else(|| row.unset.to_owned(), |text| format!("`{text}`"));
        // Writing to a String cannot go wrong.
        let _ = writeln!(page, "| `{PREFIX}{}` | {default} | {}. | {}. |", row.name, row.help, row.why);
    }
    page
}
