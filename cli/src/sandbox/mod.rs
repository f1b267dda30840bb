//! `weft sandbox`: pods of Kubernetes manifests on this machine. The work is done by the crate weft-sandbox.

mod change;
mod exec;
mod logs;
mod ls;
mod up;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use weft_sandbox::{PodName, Sandbox, SandboxError};

/// The arguments of `weft sandbox`.
#[derive(Args)]
pub struct Arguments {
    /// Which sandbox: several run side by side under different names
    #[arg(long, global = true, default_value = "default")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a sandbox from manifests; it ends with this command
    Up(up::Arguments),
    /// Run a command in a pod
    Exec(exec::Arguments),
    /// List pods and Services
    Ls(ls::Arguments),
    /// Print what a container has written
    Logs(logs::Arguments),
    /// End a pod; another one takes its place
    Delete(change::Delete),
    /// Change the number of a Deployment's replicas
    Scale(change::Scale),
    /// End a sandbox
    Down,
}

/// A pod or Deployment, and where it is looked for.
#[derive(Args)]
struct Target {
    /// Look in this namespace only, instead of in all
    #[arg(short, long)]
    namespace: Option<String>,
}

impl Target {
    fn named(&self, name: &str) -> PodName {
        match &self.namespace {
            Some(namespace) => PodName::new(Some(namespace), name),
            None => name.into(),
        }
    }
}

/// Runs one of the subcommands.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.name;
    let attach = || Sandbox::attach(&name);
    match arguments.command {
        Command::Up(up) => return up::run(&name, up).await,
        Command::Exec(exec) => return exec::run(&attach()?, exec).await,
        Command::Ls(ls) => ls::run(&attach()?, ls).await?,
        Command::Logs(logs) => logs::run(&attach()?, logs).await?,
        Command::Delete(delete) => change::delete(&attach()?, delete).await?,
        Command::Scale(scale) => change::scale(&attach()?, scale).await?,
        Command::Down => attach()?.down().await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The sandbox is gone: an error to whoever still waits for it.
fn ended() -> anyhow::Error {
    SandboxError::Ended.into()
}
