//! `weft token`: join tokens, by which a proxy proves who it is where there is no Kubernetes.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use weft_certs::SpiffeId;
use weft_control_plane::identity::tokens;

use crate::duration::duration;

/// The arguments of `weft token`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a join token and print it: one proxy gets its first certificate by it, once
    Create(Create),
}

#[derive(Args)]
struct Create {
    /// The workload's namespace
    #[arg(short, long)]
    namespace: String,
    /// The workload's service account
    #[arg(short, long, default_value = "default")]
    service_account: String,
    /// The mesh's trust domain
    #[arg(long, env = "WEFT_TRUST_DOMAIN", default_value = "cluster.local")]
    trust_domain: String,
    /// The control plane's state folder
    #[arg(long, env = "WEFT_STATE_DIR", value_name = "FOLDER")]
    state_dir: PathBuf,
    /// How long the token is good, as 90s, 10m or 24h
    #[arg(long, default_value = "10m", value_parser = duration)]
    ttl: Duration,
}

/// Runs one of the subcommands.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Command::Create(create) = arguments.command;
    let identity = SpiffeId::new(&create.trust_domain, &create.namespace, &create.service_account)?;
    let token = tokens::create(&create.state_dir, &identity, create.ttl)
        .with_context(|| format!("no token for {identity} in {}", create.state_dir.display()))?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(ExitCode::SUCCESS)
}
