//! The control plane's binary: read settings, start, wait for a signal.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, warn};
use weft_api::UnknownSetting;
use weft_control_plane::{
    app::App,
    config::{self, Config},
    inject,
    shutdown::Shutdown,
    telemetry,
};

const USAGE: &str = "weft-control-plane, set up by environment variables (docs/configuration-control-plane.md).
`weft-control-plane docs` prints the page on them, `docs annotations` the one on annotations, `docs metrics` the one on metrics.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(),
        ["docs"] => print(&config::markdown()),
        ["docs", "annotations"] => print(&inject::markdown()),
        ["docs", "metrics"] => metrics(),
        ["--help" | "-h"] => print(USAGE),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn metrics() -> ExitCode {
    match telemetry::Metrics::new() {
        Ok(metrics) => print(&metrics.markdown()),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    let printed = std::io::stdout().write_all(text.as_bytes());
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{error}"));
            return ExitCode::from(2);
        }
    };
    telemetry::init(config.log_level, config.log_format);
    warn_of_unknown_settings();
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!(cause = format!("{cause:#}"), "the control plane has ended");
            ExitCode::FAILURE
        }
    }
}

fn warn_of_unknown_settings() {
    for UnknownSetting { name, nearest } in config::unknown() {
        match nearest {
            Some(nearest) => {
                warn!(setting = name, nearest, "ignored: there is no such setting, is the nearest one meant?")
            }
            None => warn!(setting = name, "ignored: there is no such setting"),
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let app = App::start(config).await?;
        let shutdown = app.shutdown().clone();
        let signals = signals(shutdown);
        tokio::pin!(signals);
        let end = app.run();
        tokio::pin!(end);
        tokio::select! {
            ended = &mut end => Ok(ended?),
            failed = &mut signals => failed.context("signals cannot be waited for"),
        }
    })
}

/// The first SIGTERM or SIGINT begins the drain, the second one ends it.
async fn signals(shutdown: Shutdown) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut asked = 0;
    loop {
        tokio::select! {
            _ = terminate.recv() => asked += 1,
            _ = interrupt.recv() => asked += 1,
        }
        if asked == 1 { shutdown.drain() } else { shutdown.stop() }
    }
}
