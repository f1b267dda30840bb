//! What a request costs in instructions, which a busy machine does not change: a regression of 3 % shows.
//!
//! Both proxies of a bed run under callgrind. Twice a fixed number of requests is sent over a fixed number of connections,
//! and what the second load took beyond the first, which had fewer, is what its further requests cost: connections,
//! handshakes and whatever else happens once cancel out. With one request at a time everything comes in the same order in
//! each run. Instructions of the kernel are not counted.

mod callgrind;
mod expected;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use clap::ValueEnum;

pub use callgrind::Callgrind;
use expected::{Expected, MadeWith, Verdict};

use crate::load::{Kind, Report};
use crate::run::bed::Bed;
use crate::run::case::Case;
use crate::run::peer::Peer;
use crate::run::program::Programs;
use crate::run::start::start;

/// What is counted, and what it is held against.
#[derive(clap::Args)]
pub struct Options {
    /// The proxy whose instructions are counted: an optimised build.
    #[arg(long)]
    proxy: PathBuf,
    /// The numbers that are expected.
    #[arg(long, default_value = "bench/instructions.json")]
    expected: PathBuf,
    /// Write what was counted as the numbers that are expected from now on.
    #[arg(long)]
    update: bool,
    /// Where callgrind's files stay, for `callgrind_annotate`.
    #[arg(long, default_value = "target/instructions")]
    keep: PathBuf,
}

/// A case, its load's kind, and how many requests the second load has beyond the first.
const CASES: [(&str, Case, Kind, u64); 3] = [
    ("h1", Case::H1Sat, Kind::Small, 2000),
    ("grpc", Case::GrpcSat, Kind::Grpc, 2000),
    ("h1-100k", Case::H1Large, Kind::Large, 500),
];
/// Requests of the first load, and of one before it that is not counted.
const FEW: u64 = 200;
/// How many seconds the proxies may take to start: under valgrind, on a machine that is busy.
const PATIENCE: u64 = 180;

/// Counts all cases and prints them.
///
/// # Errors
/// A case costs more than 3 % more than expected, and the numbers were made with what is there now.
pub fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "weft-bench instructions makes network namespaces: run it as root");
    let here = MadeWith::here()?;
    if options.keep.exists() {
        std::fs::remove_dir_all(&options.keep).context("clear the last run's counts")?;
    }
    let mut counted = BTreeMap::new();
    for (name, case, kind, more) in CASES {
        let callgrind = Callgrind::new(&options.keep.join(name))?;
        counted.insert(name.to_owned(), count(options, &callgrind, (case, kind), more).context(name)?);
    }
    if options.update {
        let text = serde_json::to_string_pretty(&Expected { made_with: here, instructions: counted.clone() })?;
        std::fs::write(&options.expected, text + "\n").context("write the expected numbers")?;
    }
    let text = std::fs::read_to_string(&options.expected);
    let text = text.with_context(|| format!("read {} (--update makes it)", options.expected.display()))?;
    judge(&counted, &serde_json::from_str(&text).context("read the expected numbers")?)
}

/// Instructions of both proxies for each request.
fn count(options: &Options, callgrind: &Callgrind, (case, kind): (Case, Kind), more: u64) -> anyhow::Result<u64> {
    let programs = Programs::counted(&options.proxy, callgrind.clone())?;
    let bed = Bed::new(Peer::Weft, case, &programs)?;
    let both = || bed.pair.iter().map(|proxy| callgrind.count(proxy)).sum::<anyhow::Result<u64>>();
    load(&bed, kind, FEW, &programs)?;
    both()?;
    load(&bed, kind, FEW, &programs)?;
    let few = both()?;
    load(&bed, kind, FEW + more, &programs)?;
    Ok((both()?.saturating_sub(few)) / more)
}

fn load(bed: &Bed, kind: Kind, requests: u64, programs: &Programs) -> anyhow::Result<()> {
    let kind = kind.to_possible_value().context("a kind without a name")?;
    let mut command = programs.bench("load");
    command.arg(kind.get_name()).arg("--target").arg(bed.target.to_string());
    command.args(["--connections", "1", "--requests"]).arg(requests.to_string());
    command.arg("--patience").arg(PATIENCE.to_string()).stdout(Stdio::piped());
    let mut load = start(command, &bed.client, false)?;
    let out = std::io::read_to_string(load.0.stdout.take().context("no output of the load generator")?)?;
    let report: Report =
        serde_json::from_str(&out).context("the load generator has ended early (its error is above)")?;
    ensure!(report.failed == 0, "{} requests failed: {}", report.failed, report.first_failure.unwrap_or_default());
    Ok(())
}

fn judge(counted: &BTreeMap<String, u64>, expected: &Expected) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<10} {:>12} {:>12}", "case", "instructions", "expected")?;
    let mut worse = 0;
    for (case, count) in counted {
        let number = expected.instructions.get(case).copied();
        let verdict = Verdict::of(*count, number);
        worse += usize::from(verdict == Verdict::TooMany);
        writeln!(out, "{case:<10} {count:>12} {:>12} {verdict}", number.unwrap_or_default())?;
    }
    let here = MadeWith::here()?;
    if here != expected.made_with {
        writeln!(out, "!!! The expected numbers are of {:?},", expected.made_with)?;
        writeln!(
            out,
            "!!! but here is {here:?}: they prove nothing. Renew them: make bench-instructions ARGS=--update"
        )?;
        return Ok(());
    }
    ensure!(
        worse == 0,
        "{worse} cases cost more instructions than before. callgrind_annotate of the files in target/instructions says where (docs/performance.md); \
         if the cost is wanted, renew the numbers (make bench-instructions ARGS=--update) and say why in the commit"
    );
    Ok(())
}
