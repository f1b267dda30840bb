//! What a row of the table is, how one is read, and what can be wrong with it.

use std::time::Duration;

use weft_api::setting::Expected;

/// What a setting is when the environment does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// This text, read like a value from the environment.
    Is(&'static str),
    /// There is none: the proxy does not start without it.
    Required,
    /// Nothing: what it would turn on stays off.
    Unset,
}

/// One setting: everything there is to say about it.
pub(super) struct Setting<T> {
    pub(super) row: Row,
    pub(super) parse: fn(&str) -> Result<T, Expected>,
}

/// A setting without its type, for the page.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The variable: `WEFT_...`.
    pub name: &'static str,
    /// What the value counts or is.
    pub unit: &'static str,
    /// What it is when the variable is not set.
    pub default: Preset,
    /// What it does.
    pub help: &'static str,
    /// Why the default is what it is.
    pub why: &'static str,
}

/// What is wrong with the settings, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not there.
    #[error("{name} is not set: set it to {help}")]
    Missing {
        /// The variable.
        name: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// A value cannot be understood.
    #[error("{name}={value} cannot be used: it must be {expected}")]
    Unusable {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Nothing to prove the pod's identity with.
    #[error(
        "there is no way to prove this pod's identity: set WEFT_SERVICE_ACCOUNT_TOKEN_FILE (on Kubernetes) or \
         WEFT_JOIN_TOKEN_FILE (elsewhere; `weft token create` makes one)"
    )]
    NoProof,
    /// Two listeners on one port.
    #[error("port {port} is set for two listeners: give each of the WEFT_..._PORT settings its own")]
    PortTwice {
        /// The port.
        port: u16,
    },
    /// The shortest penalty is longer than the longest.
    #[error(
        "WEFT_BREAKER_PENALTY_LEAST ({least:?}) is longer than WEFT_BREAKER_PENALTY_MOST ({most:?}): swap or change them"
    )]
    PenaltyOrder {
        /// The first penalty.
        least: Duration,
        /// The longest one.
        most: Duration,
    },
}

/// Reads rows and gathers what is wrong.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, errors: Vec::new() }
    }

    /// One value. None means that an error was noted.
    pub(super) fn value<T>(&mut self, setting: &Setting<T>) -> Option<T> {
        let Row { name, help, default, .. } = setting.row;
        let given = (self.variable)(name).filter(|value| !value.trim().is_empty());
        let value = match (given, default) {
            (Some(value), _) => value,
            (None, Preset::Is(text)) => text.to_owned(),
            (None, Preset::Unset) => String::new(),
            (None, Preset::Required) => {
                self.errors.push(ConfigError::Missing { name, help });
                return None;
            }
        };
        match (setting.parse)(value.trim()) {
            Ok(parsed) => Some(parsed),
            Err(Expected(expected)) => {
                self.errors.push(ConfigError::Unusable { name, value, expected });
                None
            }
        }
    }
}

/// Declares a group: the struct, the rows and the reading of them, from one list.
macro_rules! settings {
    (
        #[doc = $about:literal]
        pub struct $group:ident($title:literal) {
            $($field:ident: $type:ty = $name:literal ($unit:literal) $default:expr, $parse:expr; $help:literal; $why:literal;)+
        }
    ) => {
        #[doc = $about]
        #[derive(Clone, Debug)]
        pub struct $group {
            $(#[doc = concat!("`", $name, "` (", $unit, "): ", $help, ". ", $why, ".")] pub $field: $type,)+
        }

        impl $group {
            pub(super) fn read(reader: &mut $crate::config::setting::Reader<'_>) -> Option<Self> {
                $(let $field: Option<$type> = reader.value(&$crate::config::setting::Setting {
                    row: $crate::config::setting::Row {
                        name: $name, unit: $unit, default: $default, help: $help, why: $why,
                    },
                    parse: $parse,
                });)+
                Some(Self { $($field: $field?,)+ })
            }

            pub(super) fn group() -> (&'static str, &'static str, Vec<$crate::config::setting::Row>) {
                let rows = vec![$($crate::config::setting::Row {
                    name: $name, unit: $unit, default: $default, help: $help, why: $why,
                },)+];
                ($title, $about, rows)
            }
        }
    };
}

pub(super) use settings;
