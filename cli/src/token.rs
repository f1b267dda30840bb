//! `weft token`: join tokens, by which a proxy proves who it is where there is no Kubernetes.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use weft_certs::SpiffeId;
use weft_control_plane::identity::tokens;

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

fn duration(text: &str) -> Result<Duration, String> {
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        _ => return Err("write a number with s, m or h".into()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| "write a number with s, m or h")?;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=365 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "between 1s and a year".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit_and_a_bound() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["10", "m", "", "0s", "1e3s", "999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
