//! One Kubernetes object, of whatever kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::InstallError;

/// An object as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Value);

impl Object {
    /// `Deployment`, for example; empty where there is none.
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// Its name; empty where there is none.
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace, where it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.0["metadata"]["namespace"].as_str()
    }

    /// Whether it is of this kind and has this name.
    pub fn is(&self, kind: &str, name: &str) -> bool {
        self.kind() == kind && self.name() == name
    }
}

/// The objects of a file with one document or several.
///
/// # Errors
/// It is not YAML.
pub fn parse(file: &'static str, text: &str) -> Result<Vec<Object>, InstallError> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let objects = documents.map(Object::deserialize).collect::<Result<Vec<_>, _>>();
    let mut objects = objects.map_err(|source| InstallError::Manifest { file, source })?;
    objects.retain(|object| !object.0.is_null());
    Ok(objects)
}

/// The objects as one YAML stream.
///
/// # Errors
/// The library does not write them.
pub fn documents(objects: &[Object]) -> Result<String, InstallError> {
    let text = objects.iter().map(serde_yaml_ng::to_string).collect::<Result<Vec<_>, _>>();
    Ok(text.map_err(InstallError::Print)?.join("---\n"))
}
