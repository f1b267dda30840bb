//! `weft sandbox up`: start, say what is reached where, stay until a signal.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use weft_sandbox::{Event, Options, Sandbox};

use super::ended;
use crate::stop::Stop;
use crate::{print, tell};

/// The arguments of `up`.
#[derive(Args)]
pub struct Arguments {
    /// Kubernetes manifests: files, or folders of them
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Return once every pod is ready, and leave the sandbox running
    #[arg(long)]
    detach: bool,
    /// A setting of every sidecar, as WEFT_ACCESS_LOG=json; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    proxy_env: Vec<(String, String)>,
    /// A setting of the control plane, as WEFT_LOG=debug; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    control_plane_env: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs until a signal, or until ready with `--detach`.
pub async fn run(name: &str, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::new()?;
    let mut options = Options::from_files(name, &arguments.files)?;
    options.proxy_env = arguments.proxy_env;
    options.control_plane_env = arguments.control_plane_env;
    for warning in &options.manifests.warnings {
        tell(&format!("warning: {warning}"));
    }
    let mut sandbox = Sandbox::start(options).await?;
    for service in sandbox.services().await? {
        for url in &service.urls {
            print(&format!("{}/{}:{} {}", service.namespace, service.name, url.port, url.url))?;
        }
    }
    loop {
        tokio::select! {
            () = stop.asked() => {
                sandbox.down().await?;
                return Ok(ExitCode::SUCCESS);
            }
            event = sandbox.next_event() => match event {
                Some(Event::Ready) => {
                    print("ready")?;
                    if arguments.detach {
                        sandbox.detach()?;
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Some(Event::Warning(text)) => tell(&format!("warning: {text}")),
                Some(Event::Failed(reason)) => bail!(reason),
                Some(Event::Started) => {}
                // `weft sandbox down` has removed the folder; without it, the supervisor was killed.
                None if sandbox.folder().exists() => return Err(ended()),
                None => return Ok(ExitCode::SUCCESS),
            },
        }
    }
}
