//! The fleet: thousands of simulated proxies subscribe to one control plane at once, then every endpoint is rolled out anew.
//!
//! The control plane is the real one, over a folder of files; the streams are real: mutual TLS over loopback, a leaf for
//! each. What the cluster holds: `cluster`. One proxy: `proxy`. The phases: `drive`. Figures and bars: `report`.

mod call;
mod cluster;
mod drive;
mod process;
mod proxy;
mod record;
mod report;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use weft_certs::TrustBundle;

use crate::process::raise_descriptor_limit;
use crate::thread;
use call::Plane;
use cluster::{Cluster, Size};
use drive::Running;
use process::ControlPlane;
use report::{Machine, Report, seconds};

/// How long acknowledgements may take once all is quiet.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);

/// How large the fleet is, and what is asked of the control plane.
#[derive(clap::Args)]
pub struct Options {
    /// Simulated proxies.
    #[arg(long, default_value_t = 2000)]
    proxies: usize,
    /// Services that each of them subscribes to, endpoints and routes.
    #[arg(long, default_value_t = 50)]
    services: usize,
    /// Endpoints of each Service.
    #[arg(long, default_value_t = 20)]
    endpoints: usize,
    /// Seconds over which the rollout's events are spread.
    #[arg(long, default_value_t = 10.0)]
    rollout: f64,
    /// Cores for all of it, the control plane and the fleet together.
    #[arg(long, default_value_t = 2)]
    cores: usize,
    /// Bar: seconds from the last event until every proxy has the new picture.
    #[arg(long, default_value_t = 2.0)]
    settle_bar: f64,
    /// Bar: MiB that the control plane may take at its peak.
    #[arg(long, default_value_t = 300.0)]
    memory_bar: f64,
    /// Where the figures go, as JSON.
    #[arg(long, default_value = "target/bench-fleet.json")]
    out: PathBuf,
    /// Where weft-control-plane is; by default beside this program.
    #[arg(long)]
    binaries: Option<PathBuf>,
}

/// Measures, prints the table, writes the figures, and fails when a bar is missed.
pub fn run(options: &Options) -> anyhow::Result<()> {
    raise_descriptor_limit()?;
    let cores = keep_to(options.cores)?;
    let mut report = thread::block_on(measure(options, cores))?;
    report.judge(options);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", report.table(options)).context("write the table")?;
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&report)? + "\n";
    std::fs::write(&options.out, text).with_context(|| format!("write {}", options.out.display()))?;
    writeln!(out, "\nwritten to {}", options.out.display()).context("write the table")?;
    ensure!(report.missed.is_empty(), "missed: {}", report.missed.join("; "));
    Ok(())
}

async fn measure(options: &Options, cores: usize) -> anyhow::Result<Report> {
    let (registry, state) = (TempDir::new()?, TempDir::new()?);
    let size = Size { clients: options.proxies, services: options.services, endpoints: options.endpoints };
    let mut cluster = Cluster::new(registry.path(), size)?;
    let plane = ControlPlane::start(options.binaries.as_deref(), registry.path(), state.path()).await?;
    let bundle = TrustBundle::from_pem(&std::fs::read_to_string(state.path().join("trust-bundle.pem"))?)?;
    let place = Plane { address: plane.address, bundle };
    tell("proxies join")?;
    let fleet = Running::start(place, state.path(), &cluster, size, cores).await?;

    tell("they subscribe at once")?;
    let before = plane.cpu()?;
    let subscribed = fleet.subscribe().await?;
    let between = plane.cpu()?;
    tell("every endpoint is rolled out anew")?;
    let last_event = cluster.roll_out(Duration::try_from_secs_f64(options.rollout)?).await?;
    let settled = fleet.settled(&cluster).await?.saturating_duration_since(last_event);
    let (after, peak) = (plane.cpu()?, plane.peak_resident_bytes()?);
    let (dropped_streams, reason) = fleet.dropped();
    if let Some(reason) = reason {
        tell(&format!("the first dropped stream: {reason}"))?;
    }
    Ok(Report {
        proxies: options.proxies,
        services: options.services,
        endpoints_each: options.endpoints,
        subscribed_seconds: seconds(subscribed),
        rollout_seconds: options.rollout,
        settled_seconds: seconds(settled),
        dropped_streams,
        updates: updates(&plane.admin("/metrics").await?),
        behind: still_behind(&plane).await?,
        peak_rss_mib: mebibytes(peak),
        cpu_seconds_subscribe: seconds(between.saturating_sub(before)),
        cpu_seconds_rollout: seconds(after.saturating_sub(between)),
        machine: Machine::this(cores),
        missed: Vec::new(),
    })
}

/// Keeps this process, its threads and its children to so many cores, as many as there are at most.
fn keep_to(cores: usize) -> anyhow::Result<usize> {
    let there = std::thread::available_parallelism()?.get();
    let cores = cores.clamp(1, there);
    if cores < there {
        let mut set = CpuSet::new();
        (0..cores).try_for_each(|core| set.set(core))?;
        sched_setaffinity(Pid::from_raw(0), &set).context("keep to some cores")?;
    }
    Ok(cores)
}

/// The sum of a counter of the control plane's.
fn updates(metrics: &str) -> u64 {
    let samples = metrics.lines().filter(|line| line.starts_with("weft_control_updates_total"));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// Proxies that the control plane goes on to believe to be behind: acknowledgements travel for a moment.
async fn still_behind(plane: &ControlPlane) -> anyhow::Result<usize> {
    let deadline = Instant::now() + ACKNOWLEDGED;
    loop {
        let count = behind(&plane.admin("/snapshot").await?)?;
        if count == 0 || Instant::now() > deadline {
            return Ok(count);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Streams whose proxy has not acknowledged all that it was sent, as the control plane sees it.
fn behind(snapshot: &str) -> anyhow::Result<usize> {
    let snapshot: serde_json::Value = serde_json::from_str(snapshot).context("read the snapshot")?;
    let streams = snapshot["streams"].as_array().context("a snapshot without streams")?;
    let current =
        |stream: &serde_json::Value| stream["waiting"] == 0 && stream["behind"].as_array().is_some_and(Vec::is_empty);
    Ok(streams.iter().filter(|stream| !current(stream)).count())
}

#[expect(clippy::cast_precision_loss, reason = "memory of a process is far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn tell(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{text}").context("write progress")
}
