//! Readiness probes as they are written.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Container, ManifestError, Meta};

/// A readiness probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// What is tried.
    pub action: ProbeAction,
    /// Wait before the first try; default 0.
    pub initial_delay: Duration,
    /// Between tries; default 10 s.
    pub period: Duration,
    /// Limit of one try; default 1 s.
    pub timeout: Duration,
    /// Successes in a row until ready; default 1.
    pub successes: u32,
    /// Failures in a row until no longer ready; default 3.
    pub failures: u32,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProbeAction {
    /// A GET whose answer is 200 to 399.
    HttpGet {
        /// Path with query.
        path: String,
        /// Port by number or name.
        port: ProbePort,
        /// Header fields of the request.
        headers: Vec<(String, String)>,
    },
    /// A connection that opens.
    TcpSocket {
        /// Port by number or name.
        port: ProbePort,
    },
}

/// A port by number or by the container's name for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProbePort {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

impl Probe {
    pub(super) fn read(value: &Value, meta: &Meta) -> Result<Option<Self>, ManifestError> {
        let action = if let Some(get) = value.get("httpGet").filter(|get| !get.is_null()) {
            let headers = get["httpHeaders"].as_array().into_iter().flatten();
            ProbeAction::HttpGet {
                path: get["path"].as_str().unwrap_or("/").to_owned(),
                port: ProbePort::read(&get["port"], meta)?,
                headers: headers
                    .map(|field| Ok((meta.text(&field["name"], "name")?, meta.text(&field["value"], "value")?)))
                    .collect::<Result<_, ManifestError>>()?,
            }
        } else if let Some(tcp) = value.get("tcpSocket").filter(|tcp| !tcp.is_null()) {
            ProbeAction::TcpSocket { port: ProbePort::read(&tcp["port"], meta)? }
        } else {
            return Ok(None);
        };
        let count = |field: &str, default: u32| match &value[field] {
            Value::Null => Ok(default),
            number => meta.number(number, field),
        };
        Ok(Some(Self {
            action,
            initial_delay: meta.seconds(&value["initialDelaySeconds"], 0)?,
            period: meta.seconds(&value["periodSeconds"], 10)?.max(Duration::from_secs(1)),
            timeout: meta.seconds(&value["timeoutSeconds"], 1)?.max(Duration::from_secs(1)),
            successes: count("successThreshold", 1)?.max(1),
            failures: count("failureThreshold", 3)?.max(1),
        }))
    }
}

impl ProbePort {
    fn read(value: &Value, meta: &Meta) -> Result<Self, ManifestError> {
        match value {
            Value::String(name) => Ok(Self::Name(name.clone())),
            number => meta.number(number, "port").map(Self::Number),
        }
    }

    /// The number, where the name is one of the container's ports.
    pub fn resolve(&self, container: &Container) -> Option<u16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => container.ports.get(name).copied(),
        }
    }
}
