//! weft-proxy: stands beside a pod and carries its traffic.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use tracing::warn;
use weft_api::UnknownSetting;
use weft_proxy::{
    app,
    config::{self, Config},
    error::chain,
    redirect,
    shutdown::Ending,
    telemetry::{self, LogControl},
};

const USAGE: &str = "\
usage: weft-proxy                          run; settings are WEFT_ variables, see docs/configuration.md
       weft-proxy redirect [--undo] ...    lead this network namespace's connections into the proxy; see --help
       weft-proxy drain                    tell the proxy of this pod to send its clients elsewhere
       weft-proxy docs configuration|metrics
       weft-proxy --version
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] => run(),
        ["redirect", ..] => redirect_command(arguments.into_iter().skip(1)),
        ["drain"] => drain(),
        ["docs", "configuration"] => print(&config::markdown()),
        ["docs", "metrics"] => print(&telemetry::markdown()),
        ["--version" | "version"] => print(&format!("weft-proxy {}\n", env!("CARGO_PKG_VERSION"))),
        ["--help" | "-h" | "help"] => print(USAGE),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let config = Config::from_env().map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("weft-proxy: {}", chain(error))).collect();
        lines.join("\n")
    })?;
    let log = LogControl::start(config.observing.log_level.clone(), config.observing.log_format)
        .map_err(|error| format!("weft-proxy: {}", chain(&error)))?;
    warn_of_unknown_settings();
    match app::run(config, log) {
        Ok(Ending::Drained | Ending::DeadlinePassed { .. } | Ending::Stopped) => Ok(()),
        Ok(Ending::TaskEnded { name }) => Err(format!("weft-proxy: the task {name} ended; see the log above")),
        Err(error) => Err(format!("weft-proxy: {}", chain(&error))),
    }
}

/// The redirect rules have settings of their own, which may stand beside the proxy's.
fn warn_of_unknown_settings() {
    for UnknownSetting { name, nearest } in config::unknown(redirect::variables()) {
        match nearest {
            Some(nearest) => {
                warn!(setting = name, nearest, "ignored: there is no such setting, is the nearest one meant?")
            }
            None => warn!(setting = name, "ignored: there is no such setting"),
        }
    }
}

fn redirect_command(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let command = redirect::parse_args(arguments).map_err(|error| chain(&error))?;
    match command {
        redirect::Command::Apply(options) => redirect::apply(&options).map_err(|error| chain(&error)),
        redirect::Command::Undo => redirect::undo().map_err(|error| chain(&error)),
        redirect::Command::Help => print(redirect::USAGE),
    }
}

/// Asks the proxy of this network namespace, over loopback.
fn drain() -> Result<(), String> {
    let port = std::env::var("WEFT_ADMIN_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(4191);
    let answer = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream
            .write_all(b"POST /drain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    match answer() {
        Ok(answer) if answer.starts_with("HTTP/1.1 2") => Ok(()),
        Ok(answer) => Err(format!("the proxy refused: {}", answer.lines().next().unwrap_or_default())),
        Err(error) => Err(format!("no proxy answers on port {port} of loopback: {error}")),
    }
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}
