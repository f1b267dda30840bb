//! The run, phase by phase: join, subscribe, roll out, settle. Knows nothing of how the control plane was started.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::call::Plane;
use super::cluster::{Cluster, Size};
use super::proxy::{self, Fleet};
use super::record::{Record, Records, State, Subscriptions};
use crate::thread;

/// Proxies that join at the same time in one thread; the fleet is measured from its subscribing on.
const JOINING: usize = 16;
/// How long a phase may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether a phase is over. What is measured are the proxies' own times.
const LOOK: Duration = Duration::from_millis(20);

/// The fleet's threads; they end with this value.
pub struct Running {
    fleet: Arc<Fleet>,
    end: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the fleet in so many threads and waits until every proxy has its certificate.
    pub async fn start(
        plane: Plane,
        state: &Path,
        cluster: &Cluster,
        size: Size,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let subscriptions = Subscriptions::new(&cluster.destinations());
        let records = Records::new(size.clients, &subscriptions);
        let fleet = Arc::new(Fleet { plane, subscriptions, records, begin: watch::channel(false).0 });
        let mut running = Self { fleet: fleet.clone(), end: watch::channel(false).0, threads: Vec::new() };
        for thread in 0..threads {
            let numbers: Vec<usize> = (thread..size.clients).step_by(threads).collect();
            let (fleet, state, end) = (fleet.clone(), state.to_owned(), running.end.subscribe());
            running.threads.push(std::thread::spawn(move || {
                let work = thread::block_on(run_thread(fleet.clone(), &state, &numbers, end));
                if let Err(error) = work {
                    numbers
                        .iter()
                        .for_each(|number| fleet.records.of(*number).state = State::Dropped(format!("{error:#}")));
                }
            }));
        }
        running.until("has joined", |record| record.state == State::Certified).await?;
        running.none_dropped()?;
        Ok(running)
    }

    /// Lets all proxies subscribe at once. Returns how long it took until the last one had all of its first picture.
    pub async fn subscribe(&self) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        self.fleet.begin.send_replace(true);
        self.until("has the first picture", |record| record.complete.is_some()).await?;
        let last = self.fleet.records.last(|record| record.complete);
        Ok(last.context("every proxy was dropped")?.saturating_duration_since(begin))
    }

    /// Waits until every proxy has the picture that the cluster shows now. Returns when the last one had it.
    pub async fn settled(&self, cluster: &Cluster) -> anyhow::Result<Instant> {
        let services = self.fleet.subscriptions.services;
        let expected: Vec<_> = (0..services).map(|service| Some(cluster.endpoints(service))).collect();
        let shows = |record: &Record| {
            let held = record.held.iter().take(services);
            held.map(|held| held.as_ref().and_then(|held| held.endpoints.clone())).eq(expected.iter().cloned())
        };
        let first = &self.fleet.records;
        self.wait("the first proxy has the new picture", || shows(&first.of(0))).await?;
        // What it was told has these versions, and a version is a hash of the content.
        let versions: Vec<_> = first.of(0).versions(services).collect();
        self.until("has the new picture", |record| record.versions(services).eq(versions.iter().copied())).await?;
        let newest = |record: &Record| record.held.iter().flatten().map(|held| held.since).max();
        first.last(|record| newest(record)).context("every proxy was dropped")
    }

    /// How many streams have ended, and why the first of them.
    pub fn dropped(&self) -> (usize, Option<String>) {
        self.fleet.records.dropped()
    }

    fn none_dropped(&self) -> anyhow::Result<()> {
        match self.dropped() {
            (0, _) => Ok(()),
            (count, reason) => bail!("{count} proxies cannot join: {}", reason.unwrap_or_default()),
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&Record) -> bool) -> anyhow::Result<()> {
        self.wait(&format!("every proxy {what}"), || self.fleet.records.all(&is)).await
    }

    async fn wait(&self, what: &str, done: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            if let State::Dropped(reason) = &self.fleet.records.of(0).state {
                bail!("the proxy that is looked at most closely was dropped: {reason}");
            }
            if Instant::now() > deadline {
                let (dropped, reason) = self.dropped();
                let reason = reason.unwrap_or_default();
                bail!("not within {PATIENCE:?}: {what}; {dropped} streams were dropped {reason}");
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.send_replace(true);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The proxies of one thread, until the end.
async fn run_thread(
    fleet: Arc<Fleet>,
    state: &Path,
    numbers: &[usize],
    mut end: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    for some in numbers.chunks(JOINING) {
        let joining = some.iter().map(|number| join(fleet.clone(), state, *number));
        futures_util::future::join_all(joining).await;
    }
    // The runtime's end is the streams' end.
    end.wait_for(|ended| *ended).await.context("the run is gone")?;
    Ok(())
}

async fn join(fleet: Arc<Fleet>, state: &Path, number: usize) {
    match proxy::join(&fleet.plane, state, number).await {
        Ok(leaf) => {
            fleet.records.of(number).state = State::Certified;
            tokio::task::spawn_local(proxy::run(fleet, number, leaf));
        }
        Err(error) => fleet.records.of(number).state = State::Dropped(format!("{error:#}")),
    }
}
