//! Settings: one table of rows, read from the environment once, at start.
//!
//! A row says name, unit, default, what it is and why it is so. The struct that the program uses, the parser and
//! docs/configuration.md all come from that row, so they cannot differ. [`Config::from_env`] reports every bad value at
//! once. Nothing else in the proxy reads the environment, and nothing here acts on a setting.

mod behaviour;
mod cgroup;
mod docs;
mod parse;
mod place;
mod setting;
#[cfg(test)]
mod tests;

pub use behaviour::{Balancing, Limits, Observing, Timeouts};
pub use docs::markdown;
pub use parse::{AccessLogFormat, HostPort, LogFormat, PortSet};
pub use place::{ControlPlane, Interception, Pod, Ports, Workers};
pub use setting::ConfigError;

use setting::{Reader, Row};
use weft_api::{UnknownSetting, unknown_settings};

/// Everything that can be set, by group.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the proxy listens.
    pub ports: Ports,
    /// How many threads carry traffic.
    pub workers: Workers,
    /// Whom the proxy stands beside.
    pub pod: Pod,
    /// Where discovery and certificates come from.
    pub control_plane: ControlPlane,
    /// What is intercepted, and what is let through.
    pub interception: Interception,
    /// How long anything may take.
    pub timeouts: Timeouts,
    /// How much of anything there may be.
    pub limits: Limits,
    /// How endpoints are chosen and retried.
    pub balancing: Balancing,
    /// Logs and metrics.
    pub observing: Observing,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// All that is missing or cannot be understood, not just the first.
    pub fn from_env() -> Result<Self, Vec<ConfigError>> {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads from any source of variables. An empty value counts as unset.
    ///
    /// # Errors
    /// All that is missing or cannot be understood, not just the first.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(&variable);
        let groups = (
            Ports::read(&mut reader),
            Workers::read(&mut reader),
            Pod::read(&mut reader),
            ControlPlane::read(&mut reader),
            Interception::read(&mut reader),
        );
        let more = (
            Timeouts::read(&mut reader),
            Limits::read(&mut reader),
            Balancing::read(&mut reader),
            Observing::read(&mut reader),
        );
        let ((Some(ports), Some(workers), Some(pod), Some(control_plane), Some(interception)), more) = (groups, more)
        else {
            return Err(reader.errors);
        };
        let (Some(timeouts), Some(limits), Some(balancing), Some(observing)) = more else { return Err(reader.errors) };
        let config = Self { ports, workers, pod, control_plane, interception, timeouts, limits, balancing, observing };
        reader.errors.extend(config.contradictions());
        if reader.errors.is_empty() { Ok(config) } else { Err(reader.errors) }
    }

    /// What each value alone does not show.
    fn contradictions(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        if self.control_plane.join_token_file.is_none() && self.control_plane.service_account_token_file.is_none() {
            found.push(ConfigError::NoProof);
        }
        let mut ports = self.ports.own();
        ports.sort_unstable();
        if let Some(pair) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
            found.push(ConfigError::PortTwice { port: pair[0] });
        }
        if self.balancing.breaker_penalty_least > self.balancing.breaker_penalty_most {
            found.push(ConfigError::PenaltyOrder {
                least: self.balancing.breaker_penalty_least,
                most: self.balancing.breaker_penalty_most,
            });
        }
        found
    }
}

/// Variables of the process's environment that look like settings and are in no row, nor among `others`. An empty one
/// counts as unset.
pub fn unknown(others: impl Iterator<Item = &'static str>) -> Vec<UnknownSetting> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let names: Vec<_> = set.map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let rows = groups().into_iter().flat_map(|(_, _, rows)| rows).map(|row| row.name);
    unknown_settings(&names, &rows.chain(others).collect::<Vec<_>>())
}

/// The groups in the order of the page: title, what it is about, its rows.
fn groups() -> Vec<(&'static str, &'static str, Vec<Row>)> {
    vec![
        Ports::group(),
        Workers::group(),
        Pod::group(),
        ControlPlane::group(),
        Interception::group(),
        Timeouts::group(),
        Limits::group(),
        Balancing::group(),
        Observing::group(),
    ]
}
