//! `weft check`: tests what users get wrong, names the cause, and says what to do next.
//!
//! [`gather`] asks the cluster, [`rules`] judge what it said, [`report`] prints the findings.

mod certificate;
mod facts;
mod figures;
mod finding;
mod gather;
mod pods;
mod report;
mod rules;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kube::Client;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::duration::duration;
use crate::form::Form;
use crate::{print, tell};
use finding::{Finding, Verdict};

/// How long after one round the next one begins.
const PAUSE: Duration = Duration::from_secs(2);

/// The arguments of `weft check`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    cluster: Cluster,
    /// Check whether Weft can be installed, rather than whether it works
    #[arg(long)]
    pre: bool,
    /// Look at the pods of this namespace only
    #[arg(short, long)]
    namespace: Option<String>,
    /// Check again until nothing fails or starts, for so long, as 30s or 2m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Form of the report
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// Checks and prints; the exit code is 1 when a check has failed.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.cluster.client().await?;
    let end = Instant::now() + arguments.wait.unwrap_or_default();
    let mut told = None;
    let findings = loop {
        let findings = once(&client, &arguments).await;
        let late = findings.iter().find(|finding| matches!(finding.verdict, Verdict::Failed | Verdict::Starting));
        let Some(late) = late.filter(|_| Instant::now() < end) else { break findings };
        if told != Some(late.check) {
            told = Some(late.check);
            tell(&format!("waiting until {}: {}", late.check, late.detail));
        }
        sleep(PAUSE).await;
    };
    match arguments.output {
        Form::Json => print(&report::json(&findings)?)?,
        Form::Table => print(report::table(&findings, coloured()).trim_end())?,
    }
    Ok(if report::ok(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn once(client: &Client, arguments: &Arguments) -> Vec<Finding> {
    let facts = gather::facts(client, arguments.pre, arguments.namespace.as_deref()).await;
    if arguments.pre { rules::before(&facts) } else { rules::after(&facts) }
}

/// Colours are for people: on a terminal, unless they are unwanted (https://no-color.org).
fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
