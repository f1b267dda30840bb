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
fn own(level: LevelFilter) -> Targets {
    let library = if level >= LevelFilter::DEBUG { level } else { LevelFilter::OFF };
    Targets::new().with_default(level).with_target("kube_client", library)
}
