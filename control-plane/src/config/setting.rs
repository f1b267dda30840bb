//! What a row of the table is, how one is read, and what can be wrong with it.

use std::{
    fmt::{Display, Write as _},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use crate::telemetry::LogFormat;

/// One setting: everything there is to say about it.
pub(super) struct Setting<T> {
    pub(super) row: Row,
    pub(super) parse: fn(&str) -> Option<T>,
}

/// A setting without its type, for the page.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What a value looks like; completes "must be ...".
    pub(super) unit: &'static str,
    /// None: it must be set.
    pub(super) default: Option<&'static str>,
    pub(super) help: &'static str,
    pub(super) why: &'static str,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It must be set and is not.
    #[error("{name} is not set: set it to {help}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// Another setting leaves no use for it.
    #[error("{name} is set, but {other} has no use for it: unset one of the two")]
    Unused {
        /// The variable.
        name: &'static str,
        /// The other one, with its value.
        other: &'static str,
    },
    /// Its value cannot be understood.
    #[error("{name}={value} cannot be used: it must be {expected}")]
    Unusable {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// Where Services, pods and policies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryKind {
    /// A watched folder of YAML.
    File,
    /// A cluster's API server.
    Kubernetes,
}

/// Reads rows and gathers what is wrong.
pub(super) struct Reader<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) errors: Vec<ConfigError>,
}

impl Reader<'_> {
    /// One value. None: an error was noted.
    pub(super) fn value<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let Row { name, unit, default, help, .. } = setting.row;
        let Some(value) = self.given(name).or_else(|| default.map(str::to_owned)) else {
            self.errors.push(ConfigError::Missing { name, help });
            return None;
        };
        let parsed = (setting.parse)(value.trim());
        if parsed.is_none() {
            self.errors.push(ConfigError::Unusable { name, value, expected: unit });
        }
        parsed
    }

    /// Notes folders that are missing, or are there without a use.
    pub(super) fn check_folders(&mut self) {
        const FOLDERS: [(&str, &str); 2] = [
            ("WEFT_REGISTRY_DIR", "the folder of Kubernetes YAML that is watched, or set WEFT_REGISTRY=kubernetes"),
            ("WEFT_STATE_DIR", "the folder of the certificate authority, or set WEFT_REGISTRY=kubernetes"),
        ];
        let kind = self.given("WEFT_REGISTRY").map_or(Some(RegistryKind::File), |text| registry(text.trim()));
        for (name, help) in FOLDERS {
            match (kind, self.given(name)) {
                (Some(RegistryKind::File), None) => self.errors.push(ConfigError::Missing { name, help }),
                (Some(RegistryKind::Kubernetes), Some(_)) => {
                    self.errors.push(ConfigError::Unused { name, other: "WEFT_REGISTRY=kubernetes" });
                }
                // A kind that cannot be understood is reported as such.
                (None, _) | (Some(RegistryKind::File), Some(_)) | (Some(RegistryKind::Kubernetes), None) => {}
            }
        }
    }

    fn given(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.trim().is_empty())
    }
}

/// One line of the page's table.
pub(super) fn line(row: &Row) -> String {
    let default: &dyn Display = match row.default {
        None => &"required",
        Some("") => &"unset",
        Some(text) => &format!("`{text}`"),
    };
    let mut line = String::new();
    // Writing to a String cannot go wrong.
    let _ = writeln!(line, "| `{}` | {} | {default} | {} | {} |", row.name, row.unit, row.help, row.why);
    line
}

/// None: it is unset.
pub(super) fn optional_path(text: &str) -> Option<Option<PathBuf>> {
    Some((!text.is_empty()).then(|| text.into()))
}

pub(super) fn registry(text: &str) -> Option<RegistryKind> {
    match text {
        "file" => Some(RegistryKind::File),
        "kubernetes" => Some(RegistryKind::Kubernetes),
        _ => None,
    }
}

pub(super) fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

pub(super) fn count<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Option<T> {
    text.parse().ok().filter(|count| *count >= T::from(1))
}

pub(super) fn ranges(text: &str) -> Option<Vec<IpNet>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

/// Parts of names: what stands in a SPIFFE id.
pub(super) fn name(text: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    text.bytes().all(allowed).then(|| text.to_owned())
}

/// The name of an image.
pub(super) fn image(text: &str) -> Option<String> {
    text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
}

pub(super) fn level(text: &str) -> Option<LevelFilter> {
    text.parse().ok()
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    text.parse().ok()
}

/// `50ms`, `3s`, `5m`, `1h`; above nothing.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}
