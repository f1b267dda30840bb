//! What can be wrong with an installation before a cluster sees it.

use weft_control_plane::config::ConfigError;

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file that is built in is not what it must be; a test would have said so.
    #[error("the built-in manifest {file} cannot be read")]
    Manifest {
        /// Its path in the repository.
        file: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_yaml_ng::Error,
    },
    /// A file that is built in lacks what the options change.
    #[error("the built-in manifests have no {what}")]
    Missing {
        /// What was looked for.
        what: &'static str,
    },
    /// The control plane would not start with these options.
    #[error("the control plane would not start with this: {}", list(.0))]
    Settings(Vec<ConfigError>),
    /// The objects cannot be written as YAML.
    #[error("the manifests cannot be printed")]
    Print(#[source] serde_yaml_ng::Error),
}

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
