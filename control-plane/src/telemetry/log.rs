//! Logs: constant text, data in fields.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(()),
        }
    }
}

/// Sends logs to standard error from now on. Once per process; later calls change nothing.
pub fn init(level: LevelFilter, format: LogFormat) {
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let _already_set = match format {
        LogFormat::Json => builder.json().finish().with(own(level)).try_init(),
        LogFormat::Text => builder.with_ansi(false).finish().with(own(level)).try_init(),
    };
}

/// The client to the API server logs each failed call as an error and returns it too; whoever gets it says what follows.
/// It also logs answers that it cannot read as they came, with the token or the key in them: it is silent at every level.
fn own(level: LevelFilter) -> Targets {
    Targets::new().with_default(level).with_target("kube_client", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    /// kube-client writes answers that it cannot read as they came: a token, or a Secret.
    #[test]
    fn the_client_to_the_api_server_writes_nothing_at_any_level() {
        for level in [LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE] {
            let targets = own(level);
            assert!(!targets.would_enable("kube_client::client", &Level::WARN), "{level}");
            assert!(targets.would_enable("weft_control_plane::serve", &Level::INFO), "{level}");
        }
    }
}
