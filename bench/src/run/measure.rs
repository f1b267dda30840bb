//! One repeat: load through a bed, and what the pair used meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;

use super::Options;
use super::bed::Bed;
use super::case::Case;
use super::program::Programs;
use super::start::start;
use crate::load::{Kind, Report};
use crate::process::{Usage, usage};

/// What one repeat has shown.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub rps: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// User and system time of the pair per request.
    pub cpu_us: f64,
    /// Resident memory of the pair in MB; in the idle case what each thousand connections add, in other words KB of each.
    pub rss_mb: f64,
    pub failed: u64,
    pub first_failure: Option<String>,
}

/// Runs the load generator in the client's namespace.
pub fn one(bed: &Bed, case: Case, programs: &Programs, options: &Options) -> anyhow::Result<Sample> {
    let mut load = start(load_command(bed, case, programs, options)?, &bed.client, false)?;
    let mut lines = BufReader::new(load.0.stdout.take().context("no output of the load generator")?).lines();
    let mut line =
        || lines.next().context("the load generator has ended early (its error is above)")?.context("read it");
    expect(&line()?, "begin")?;
    let before = usage(&bed.pair)?;
    expect(&line()?, "end")?;
    let after = usage(&bed.pair)?;
    let report: Report = serde_json::from_str(&line()?).context("read the load generator's report")?;
    ensure!(report.requests > 0, "no request was answered: {}", report.first_failure.unwrap_or_default());
    Ok(sample(case, &report, before, after))
}

fn load_command(bed: &Bed, case: Case, programs: &Programs, options: &Options) -> anyhow::Result<Command> {
    let load = case.load(options);
    let kind = load.kind.to_possible_value().context("a kind without a name")?;
    let mut command = programs.bench("load");
    command.arg(kind.get_name()).arg("--target").arg(bed.target.to_string());
    command.arg("--connections").arg(load.connections.to_string());
    if load.kind == Kind::Grpc {
        command.arg("--streams").arg(load.streams.to_string());
    }
    if let Some(rate) = load.rate {
        command.arg("--rate").arg(rate.to_string());
    }
    command.arg("--seconds").arg(options.seconds.to_string()).arg("--warmup").arg(options.warmup.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

fn expect(line: &str, expected: &str) -> anyhow::Result<()> {
    if line != expected {
        bail!("the load generator says {line:?}, not {expected:?}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds are far below 2^52")]
fn sample(case: Case, report: &Report, before: Usage, after: Usage) -> Sample {
    let requests = report.requests as f64;
    let resident = match case {
        Case::Idle => after.resident_bytes.saturating_sub(before.resident_bytes) as f64 * 1000.0 / requests,
        _ => after.resident_bytes as f64,
    };
    Sample {
        rps: requests / report.seconds,
        p50_us: report.p50_us,
        p99_us: report.p99_us,
        p999_us: report.p999_us,
        cpu_us: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / requests,
        rss_mb: resident / 1e6,
        failed: report.failed,
        first_failure: report.first_failure.clone(),
    }
}
