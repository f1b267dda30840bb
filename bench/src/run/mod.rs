//! The comparison: every case through every peer, interleaved, each in namespaces of its own.
//!
//! Which load a case is: `case`. What stands between client and server: `peer`. How one repeat is measured: `measure`.

pub mod bed;
pub mod case;
mod haproxy;
mod measure;
mod namespace;
pub mod peer;
pub mod program;
mod result;
pub mod start;
mod table;
mod weft;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use bed::Bed;
use case::Case;
use measure::Sample;
use peer::Peer;
use program::Programs;
use result::Outcome;

/// What is compared, and how long.
#[derive(clap::Args)]
pub struct Options {
    /// Only these cases.
    #[arg(long, value_enum, value_delimiter = ',')]
    case: Vec<Case>,
    /// Only these peers.
    #[arg(long, value_enum, value_delimiter = ',')]
    peer: Vec<Peer>,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
    /// How long one measurement takes.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Load that goes before and is not measured.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Connections of the idle case.
    #[arg(long, default_value_t = 4000)]
    idle_connections: u32,
    /// Where the results go, as JSON.
    #[arg(long, default_value = "target/bench.json")]
    out: PathBuf,
    /// Where weft-proxy and weft-control-plane are; by default beside this program.
    #[arg(long)]
    binaries: Option<PathBuf>,
}

/// Measures everything that is asked for; prints as it goes, and writes after each case.
///
/// A peer that fails in a case is left out of it, and makes the whole a failure at the end.
pub fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "weft-bench run makes network namespaces: run it as root");
    crate::process::raise_descriptor_limit()?;
    let peers = peer::usable(&options.peer)?;
    let programs = Programs::new(options.binaries.as_deref(), peers.contains(&Peer::Weft))?;
    let cases = if options.case.is_empty() { case::ALL.to_vec() } else { options.case.clone() };
    let (mut outcomes, mut failed) = (Vec::new(), 0);
    for case in cases {
        let measured = compare(case, &peers, &programs, options)?;
        failed += peers.len() - measured.len();
        say(&table::of(&measured))?;
        outcomes.extend(measured);
        write(options, &outcomes)?;
    }
    say(&format!("written to {}", options.out.display()))?;
    ensure!(failed == 0, "{failed} measurements are missing: see above");
    Ok(())
}

/// One case: all peers stand ready, and take turns.
fn compare(case: Case, peers: &[Peer], programs: &Programs, options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let mut turns = Vec::new();
    for peer in peers {
        match Bed::new(*peer, case, programs) {
            Ok(bed) => turns.push(Turn { peer: *peer, bed, samples: Vec::new() }),
            Err(error) => give_up(case, *peer, &error)?,
        }
    }
    for repeat in 1..=options.repeats {
        let mut left = Vec::new();
        for mut turn in turns {
            match turn.take(case, programs, options) {
                Ok(()) => left.push(turn),
                Err(error) => give_up(case, turn.peer, &error)?,
            }
        }
        turns = left;
        for turn in &turns {
            tell(case, turn.peer, repeat, &turn.samples)?;
        }
    }
    Ok(turns.iter().map(|turn| Outcome::new(case, turn.peer, &turn.samples)).collect())
}

/// A peer, and what its turns have shown.
struct Turn {
    peer: Peer,
    bed: Bed,
    samples: Vec<Sample>,
}

impl Turn {
    fn take(&mut self, case: Case, programs: &Programs, options: &Options) -> anyhow::Result<()> {
        if case == Case::Idle && !self.samples.is_empty() {
            self.bed = Bed::new(self.peer, case, programs)?; // memory that was used once is not given back in full
        }
        self.samples.push(measure::one(&self.bed, case, programs, options)?);
        Ok(())
    }
}

fn give_up(case: Case, peer: Peer, error: &anyhow::Error) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{case} through {peer} is given up: {error:#}").context("write progress")
}

fn tell(case: Case, peer: Peer, repeat: u32, samples: &[Sample]) -> anyhow::Result<()> {
    let Some(sample) = samples.last() else { return Ok(()) };
    let mut line = format!("{case} {peer} #{repeat}: {:.0}/s, {:.1} us of CPU each", sample.rps, sample.cpu_us);
    if sample.failed > 0 {
        line += &format!("; {} FAILED: {}", sample.failed, sample.first_failure.as_deref().unwrap_or("unknown"));
    }
    writeln!(std::io::stderr(), "{line}").context("write progress")
}

fn write(options: &Options, outcomes: &[Outcome]) -> anyhow::Result<()> {
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(outcomes)?;
    std::fs::write(&options.out, text + "\n").with_context(|| format!("write {}", options.out.display()))
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("write the table")
}
