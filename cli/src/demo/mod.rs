//! `weft demo`: the shop, meshed, under load in a sandbox, and what its proxies measure, live.
//!
//! Folder by folder: `shop` is what runs, `load` its client and `report` that client's view; `http`, `prometheus`,
//! `totals` and `row` lead from the proxies' pages to the table; `screen` shows it; `scenario` makes trouble.

mod http;
pub mod load;
mod prometheus;
mod report;
mod row;
mod scenario;
mod screen;
mod shop;
mod totals;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, interval, sleep_until};
use weft_sandbox::{Event, Listing, Pod, Sandbox};

use crate::print;
use crate::stop::Stop;
use report::Report;
use row::{History, Row, share};
use scenario::{Kind, Pages, Scenario};
use screen::{Screen, seen};

/// The proxies are looked at so often once there are rows.
const LOOK: Duration = Duration::from_secs(1);
/// Until then, and for keys.
const BEAT: Duration = Duration::from_millis(100);
/// Without a row after this time, something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
const PROXY: &str = "weft-proxy";
const PROXY_ADMIN: u16 = 4191;

/// The arguments of `weft demo`.
#[derive(Args)]
pub struct Arguments {
    /// End so long after the first row, as in 20s or 2m; without it, the demo runs until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Plain lines, and at the end one line of JSON that sums up
    #[arg(long)]
    json: bool,
    /// What happens while you watch
    #[arg(long, value_enum, default_value_t = Kind::None)]
    scenario: Kind,
    /// The sandbox's name, for `weft sandbox --name NAME ls` and the like beside it
    #[arg(long, default_value = "demo")]
    name: String,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let found = units.iter().find_map(|(unit, milliseconds)| Some((text.strip_suffix(unit)?, milliseconds)));
    let (number, milliseconds) = found.ok_or("write a time such as 20s or 2m")?;
    let number: u64 = number.parse().map_err(|_| "write a time such as 20s or 2m")?;
    match number.checked_mul(*milliseconds) {
        Some(time) if (1000..=1 << 40).contains(&time) => Ok(Duration::from_millis(time)),
        _ => Err("the shortest demo lasts 1s"),
    }
}

/// What `--json` prints at the end. Requests, failures and times are what the client saw, the rest is the proxies'.
#[derive(Serialize)]
struct Summary<'a> {
    scenario: Kind,
    requests: u64,
    failures: u64,
    reasons: &'a std::collections::BTreeMap<String, u64>,
    mtls_share: f64,
    retries: u64,
    ejections: u64,
    p50_ms: f64,
    p99_ms: f64,
    first_row_ms: u128,
    services: &'a [Row],
}

/// Runs until the time is over or a signal comes; whatever happens, the sandbox ends with it.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let mut stop = Stop::new()?;
    let folder = tempfile::tempdir().context("no folder for the shop's databases")?;
    let options = shop::options(&arguments.name, arguments.scenario, folder.path())?;
    let mut sandbox = tokio::select! {
        started = Sandbox::start(options) => started?,
        () = stop.asked() => return Ok(ExitCode::SUCCESS),
    };
    let mut demo = Demo {
        begun,
        duration: arguments.duration,
        screen: Screen::new(arguments.json)?,
        history: History::default(),
        scenario: Scenario::new(arguments.scenario, arguments.duration),
        pages: Pages::new(),
        rows: Vec::new(),
        report: Report::default(),
        last_look: begun,
        first_row: None,
    };
    demo.introduce(&sandbox, &arguments.name).await?;
    let mut beats = interval(BEAT);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            () = sleep_until(demo.end()) => break,
            event = sandbox.next_event() => demo.hear(event)?,
            _ = beats.tick() => {
                if demo.screen.is_quit()? {
                    break;
                }
                demo.beat(&sandbox).await?;
            }
        }
    }
    // The last requests count too.
    demo.look(&sandbox).await?;
    sandbox.down().await?;
    demo.sum_up(&arguments)
}

struct Demo {
    begun: Instant,
    duration: Option<Duration>,
    screen: Screen,
    history: History,
    scenario: Scenario,
    pages: Pages,
    rows: Vec<Row>,
    report: Report,
    last_look: Instant,
    first_row: Option<Duration>,
}

impl Demo {
    async fn introduce(&mut self, sandbox: &Sandbox, name: &str) -> anyhow::Result<()> {
        let listing = sandbox.list().await?;
        let url = |service| shop::url(&listing, service).unwrap_or("-");
        self.screen.tell("users: 3 replicas, one slow, one that fails at times; orders: 2, which ask users by gRPC")?;
        self.screen.tell("a client sends 100 requests a second; every pod has a sidecar, and no app knows of it")?;
        self.screen.tell("customers order at the edge; examples/README.md tells what else there is to see")?;
        self.screen.tell(&format!("shop:     {}/web   (in a browser; the password is: shop)", url("edge")))?;
        self.screen.tell(&format!("try it:   curl {}/books", url("orders")))?;
        self.screen.tell(&format!("metrics:  curl {}/metrics   (the client's proxy)", url("client-metrics")))?;
        let weft = std::env::args().next().unwrap_or_else(|| "weft".into());
        self.screen.tell(&format!("look in:  {weft} sandbox --name {name} ls"))?;
        self.screen.show(Duration::ZERO, &[], &self.report)?;
        Ok(())
    }

    fn hear(&mut self, event: Option<Event>) -> anyhow::Result<()> {
        match event {
            Some(Event::Warning(text)) => self.screen.tell(&format!("warning: {text}"))?,
            Some(Event::Failed(reason)) => bail!(reason),
            Some(Event::Started | Event::Ready) => {}
            None => bail!("the sandbox was ended from outside"),
        }
        Ok(())
    }

    fn end(&self) -> Instant {
        match (self.first_row, self.duration) {
            (Some(first), Some(duration)) => self.begun + first + duration,
            // Far enough, and no overflow of the clock.
            _ => Instant::now() + PATIENCE,
        }
    }

    async fn beat(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        if self.first_row.is_some() && self.last_look.elapsed() < LOOK {
            return Ok(());
        }
        self.look(sandbox).await?;
        if self.first_row.is_none() {
            if self.begun.elapsed() > PATIENCE {
                bail!("no request got through in {PATIENCE:?}; the machine may be overloaded");
            }
            if self.rows.iter().all(|row| row.rps == 0.0) {
                return Ok(());
            }
        }
        let first = *self.first_row.get_or_insert_with(|| self.begun.elapsed());
        self.screen.show(self.begun.elapsed(), &self.rows, &self.report)?;
        let told = self.scenario.step(self.begun.elapsed() - first, sandbox, &self.pages).await?;
        if let Some(text) = told {
            self.screen.tell(&format!("{:>5.1}s  {text}", self.begun.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }

    /// Reads what the proxies and the client have counted.
    async fn look(&mut self, sandbox: &Sandbox) -> anyhow::Result<()> {
        let listing = sandbox.list().await?;
        self.pages = scrape(sandbox, &listing).await;
        let pages = self.pages.iter().map(|(pod, page)| (pod.clone(), totals::read(page))).collect();
        self.history.push(self.last_look.elapsed(), pages);
        self.last_look = Instant::now();
        self.rows = self.history.rows(&shop::replicas(&listing));
        let client = listing.pods.iter().find(|pod| pod.name == shop::CLIENT);
        let container = client.and_then(|pod| pod.containers.iter().find(|one| one.name == shop::CLIENT));
        if let Some(report) = container.and_then(|container| report::last(&container.log)) {
            self.report = report;
        }
        Ok(())
    }

    fn sum_up(self, arguments: &Arguments) -> anyhow::Result<ExitCode> {
        let Self { screen, history, rows, report, first_row, .. } = self;
        drop(screen); // the terminal is as it was
        let total = history.total();
        let Report { requests, failures, reasons, p50_ms, p99_ms } = &report;
        let summary = Summary {
            scenario: arguments.scenario,
            requests: *requests,
            failures: *failures,
            reasons,
            mtls_share: share(total.mtls, total.requests).unwrap_or(0.0),
            retries: total.retries as u64,
            ejections: total.ejections as u64,
            p50_ms: *p50_ms,
            p99_ms: *p99_ms,
            first_row_ms: first_row.unwrap_or_default().as_millis(),
            services: &rows,
        };
        print(&seen(&report))?;
        for (reason, number) in reasons {
            print(&format!("  {number} x {reason}"))?;
        }
        let share = summary.mtls_share * 100.0;
        print(&format!(
            "the proxies counted {share:.1} % over mTLS, {} retries, {} ejections; the first row stood after {} ms",
            summary.retries, summary.ejections, summary.first_row_ms
        ))?;
        if arguments.json {
            print(&serde_json::to_string(&summary)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The pages of all proxies that answer; one that does not is being started or killed.
async fn scrape(sandbox: &Sandbox, listing: &Listing) -> Pages {
    let mut pages = Pages::new();
    let has_proxy = |pod: &&Pod| pod.containers.iter().any(|one| one.name == PROXY && one.ready);
    for pod in listing.pods.iter().filter(has_proxy) {
        let target = http::Target { from: None, address: pod.address, port: PROXY_ADMIN };
        if let Ok(page) = http::ask(sandbox, target, "GET", "/metrics").await {
            pages.insert(pod.name.clone(), page);
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit_and_lasts_at_least_a_second() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(["20", "s", "0s", "-1s", "20h", "999999999999999999m"].iter().all(|text| duration(text).is_err()));
    }
}
