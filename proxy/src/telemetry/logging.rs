//! The proxy's own log lines: to stderr, with a level that can be changed while it runs.

use std::io;

use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something else in this process logs already.
    #[error("log lines already go elsewhere in this process")]
    Taken(#[source] tracing_subscriber::util::TryInitError),
    /// The text is no level.
    #[error("{text} is no level: use off, error, warn, info, debug or trace, or a list as info,weft_proxy::mesh=debug")]
    Level {
        /// What was asked for.
        text: String,
    },
    /// The subscriber is gone.
    #[error("log lines are no longer written")]
    Gone(#[source] reload::Error),
}

/// Changes the level while the proxy runs.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
}

impl LogControl {
    /// Starts writing log lines to stderr.
    ///
    /// # Errors
    /// Something else in this process logs already.
    pub fn start(level: Targets, format: LogFormat) -> Result<Self, LogError> {
        let (layer, control) = Self::layer(level, format);
        tracing_subscriber::registry().with(layer).try_init().map_err(LogError::Taken)?;
        Ok(control)
    }

    /// The layer that writes log lines to stderr, and the control of its level.
    pub fn layer(level: Targets, format: LogFormat) -> (impl Layer<Registry> + Send + Sync, Self) {
        let (filter, control) = reload::Layer::new(level);
        let layer = match format {
            LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
            LogFormat::Text => fmt::layer().with_ansi(false).with_writer(io::stderr).boxed(),
        };
        (layer.with_filter(filter), Self { filter: control })
    }

    /// The levels in use.
    ///
    /// # Errors
    /// Log lines are no longer written.
    pub fn level(&self) -> Result<String, LogError> {
        self.filter.with_current(ToString::to_string).map_err(LogError::Gone)
    }

    /// Uses other levels from now on.
    ///
    /// # Errors
    /// The text is no level, or log lines are no longer written.
    pub fn change(&self, text: &str) -> Result<(), LogError> {
        let level: Targets = text.trim().parse().map_err(|_| LogError::Level { text: text.trim().to_owned() })?;
        self.filter.reload(level).map_err(LogError::Gone)
    }
}
