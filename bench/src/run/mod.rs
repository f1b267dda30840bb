//! The comparison: every case through every peer, interleaved, each in namespaces of its own.
//!
//! Which load a case is: `case`. What stands between client and server: `peer`. How one repeat is measured: `measure`.

mod bed;
mod case;
mod haproxy;
mod measure;
mod namespace;
mod peer;
mod process;
mod result;
mod table;
mod weft;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use bed::Bed;
use case::Case;
use measure::Sample;
use peer::Peer;
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

/// Measures everything that is asked for; prints as it goes, writes at the end.
pub fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "weft-bench run makes network namespaces: run it as root");
    process::raise_descriptor_limit()?;
    let peers = peer::usable(&options.peer, &binaries(options)?)?;
    let cases = if options.case.is_empty() { case::ALL.to_vec() } else { options.case.clone() };
    let mut outcomes = Vec::new();
    for case in cases {
        let measured = compare(case, &peers, options).with_context(|| format!("case {case}"))?;
        say(&table::of(&measured))?;
        outcomes.extend(measured);
        write(options, &outcomes)?;
    }
    say(&format!("written to {}", options.out.display()))
}

/// One case: all peers stand ready, and take turns.
fn compare(case: Case, peers: &[Peer], options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let binaries = binaries(options)?;
    let mut beds = Vec::new();
    for peer in peers {
        beds.push(Bed::new(*peer, case, &binaries).with_context(|| format!("set up {peer}"))?);
    }
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); peers.len()];
    for repeat in 1..=options.repeats {
        for ((bed, peer), samples) in beds.iter_mut().zip(peers).zip(&mut samples) {
            if case == Case::Idle && repeat > 1 {
                *bed = Bed::new(*peer, case, &binaries)?; // memory that was used once is not given back in full
            }
            let sample = measure::one(bed, case, options).with_context(|| format!("{case} through {peer}"))?;
            tell(case, *peer, repeat, &sample)?;
            samples.push(sample);
        }
    }
    Ok(peers.iter().zip(&samples).map(|(peer, samples)| Outcome::new(case, *peer, samples)).collect())
}

fn tell(case: Case, peer: Peer, repeat: u32, sample: &Sample) -> anyhow::Result<()> {
    let mut line = format!("{case} {peer} #{repeat}: {:.0}/s, {:.1} us of CPU each", sample.rps, sample.cpu_us);
    if sample.failed > 0 {
        line += &format!("; {} FAILED: {}", sample.failed, sample.first_failure.as_deref().unwrap_or("unknown"));
    }
    writeln!(std::io::stderr(), "{line}").context("write progress")
}

fn binaries(options: &Options) -> anyhow::Result<PathBuf> {
    match &options.binaries {
        Some(folder) => folder.canonicalize().with_context(|| format!("find {}", folder.display())),
        None => Ok(std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned()),
    }
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
