//! `weft sandbox logs`: what a container has written, its output and errors together.

use std::io;

use anyhow::Context;
use clap::Args;
use weft_sandbox::Sandbox;

use super::Target;

/// The arguments of `logs`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The pod
    pod: String,
    /// The container; the first without this, `weft-proxy` is the sidecar
    container: Option<String>,
}

/// Prints the log.
pub async fn run(sandbox: &Sandbox, arguments: Arguments) -> anyhow::Result<()> {
    let pod = sandbox.find(arguments.target.named(&arguments.pod)).await?;
    let wanted = arguments.container.as_deref();
    let mut containers = pod.containers.iter();
    let container = containers.find(|container| wanted.is_none_or(|name| container.name == name));
    let container = container.with_context(|| {
        let names: Vec<&str> = pod.containers.iter().map(|container| container.name.as_str()).collect();
        format!("pod {} has the containers {}, not {}", pod.name, names.join(", "), wanted.unwrap_or_default())
    })?;
    let mut log = std::fs::File::open(&container.log).with_context(|| format!("no log of {}", container.name))?;
    io::copy(&mut log, &mut io::stdout())?;
    Ok(())
}
