//! Who an object is, and its fields read with errors that say so.

use std::time::Duration;

use serde_json::Value;

use super::ManifestError;

/// What names an object.
pub(super) struct Meta {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Meta {
    pub(super) fn of(object: &Value, kind: &str) -> Result<Self, ManifestError> {
        let field = |name: &str| object["metadata"][name].as_str().map(str::to_owned);
        let problem = |problem: &str| ManifestError::Object {
            object: if kind.is_empty() { "an object".into() } else { format!("a {kind}") },
            problem: problem.into(),
        };
        if kind.is_empty() {
            return Err(problem("the field kind is missing"));
        }
        let name = field("name").ok_or_else(|| problem("the field metadata.name is missing"))?;
        let namespace = field("namespace").unwrap_or_else(|| "default".into());
        for part in [&name, &namespace] {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if part.is_empty() || part.starts_with('.') || part.len() > 253 || !part.chars().all(good) {
                return Err(problem(&format!("{part:?} is no name")));
            }
        }
        Ok(Self { kind: kind.to_owned(), namespace, name })
    }

    pub(super) fn display(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> ManifestError {
        ManifestError::Object { object: self.display(), problem: problem.into() }
    }

    pub(super) fn number<T: TryFrom<u64>>(&self, value: &Value, field: &str) -> Result<T, ManifestError> {
        value
            .as_u64()
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.problem(format!("{field} is no number in range: {value}")))
    }

    pub(super) fn text(&self, value: &Value, field: &str) -> Result<String, ManifestError> {
        value.as_str().map(str::to_owned).ok_or_else(|| self.problem(format!("{field} is missing or no text")))
    }

    pub(super) fn texts(&self, value: &Value, field: &str) -> Result<Vec<String>, ManifestError> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items.iter().map(|item| self.text(item, field)).collect(),
            _ => Err(self.problem(format!("{field} is no list"))),
        }
    }

    /// A time in whole seconds.
    pub(super) fn seconds(&self, value: &Value, default: u64) -> Result<Duration, ManifestError> {
        match value {
            Value::Null => Ok(Duration::from_secs(default)),
            number => self.number(number, "a time in seconds").map(Duration::from_secs),
        }
    }
}
