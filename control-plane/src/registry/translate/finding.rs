//! What is wrong with an object, and in which field of it.

use std::fmt;

/// A problem in a field of an object: an error or a warning, as its place says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Finding {
    /// Where it is.
    pub field: Field,
    /// What it is.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It names an object of another namespace, and no ReferenceGrant allows that.
    #[error("refers to namespace {0:?}, which no ReferenceGrant allows")]
    CrossNamespace(String),
    /// It has not the form that its kind has.
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It is not an IP address.
    #[error("is not an IP address: {0:?}")]
    NotAnAddress(String),
    /// It is not a duration of the Gateway API (GEP-2257).
    #[error("is not a duration such as 1s500ms: {0:?}")]
    NotADuration(String),
    /// It is not a name that Kubernetes would take.
    #[error("is not a name that Kubernetes allows: {0:?}")]
    NotAName(String),
    /// It is not a path that begins with a slash.
    #[error("does not begin with a slash: {0:?}")]
    NotAPath(String),
    /// It is not `namespace/service-account`, each of which may be `*`.
    #[error("is not a namespace/service-account pattern: {0:?}")]
    NotAPattern(String),
    /// It is not a port.
    #[error("is not a port: {0:?}")]
    NotAPort(String),
    /// This release does not know it.
    #[error("is not supported")]
    NotSupported,
    /// This release does not know its value.
    #[error("has a value that is not supported: {0:?}")]
    ValueNotSupported(String),
    /// A limit of a try is above the limit of the whole request.
    #[error("is longer than the request's own timeout")]
    LongerThanRequest,
}

/// The way to a field: `spec.rules[0].matches[1].path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<Step>);

/// One step of the way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the field of this name.
    Key(String),
    /// To the item at this place, from 0.
    Index(usize),
}

impl Finding {
    /// A problem at a field that is written with dots.
    pub fn at(field: &str, problem: Problem) -> Self {
        Self { field: Field::new(field), problem }
    }
}

impl Field {
    /// A way that is written with dots.
    pub fn new(field: &str) -> Self {
        Self(field.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// A field below this one.
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// An item of this list.
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The steps of the way.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}
