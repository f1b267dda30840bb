//! The load generator: which exchange, at what pace, and what became of it.
//!
//! At a constant rate an exchange's latency counts from the moment at which it was due, whether or not it could be sent
//! then, so a server that stalls cannot hide the stall by holding up the load (coordinated omission). Prints `begin` and
//! `end` around the measured time, then one line of JSON.

mod exchange;
mod grpc;
mod http1;
mod idle;
mod pace;
mod record;
mod tcp;
mod timer;

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::Instant;

use crate::thread;
use exchange::Exchange;
pub use exchange::Kind;
use pace::Pace;
use record::Record;
pub use record::Report;

/// What to send, where to, how much of it.
#[derive(clap::Args)]
pub struct Options {
    /// What one request is.
    #[arg(value_enum)]
    kind: Kind,
    /// Where the server is.
    #[arg(long)]
    target: SocketAddr,
    /// Connections; for connections that are opened per request: how many at the same time.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Requests at the same time on one connection (gRPC).
    #[arg(long, default_value_t = 1)]
    streams: u32,
    /// Requests per second in all; without it each connection sends its next when it has its answer.
    #[arg(long)]
    rate: Option<u32>,
    /// So many requests in all, as fast as answers come, instead of a time.
    #[arg(long, conflicts_with = "rate")]
    requests: Option<u64>,
    /// How long to measure.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How long to send before.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// How many seconds the other end may take to be there.
    #[arg(long, default_value_t = 20)]
    patience: u64,
}

/// How long what is under way at the end may take.
const GRACE: Duration = Duration::from_secs(5);
/// How many seconds a counted number of requests may take.
const LONGEST: f64 = 600.0;

/// Sends the load and prints the report.
pub fn run(options: &Options) -> anyhow::Result<()> {
    thread::block_on(async {
        wait_for(options).await?;
        match options.kind {
            Kind::Idle => idle::run(options.target, options.connections).await,
            _ => send(options).await,
        }
    })
}

async fn wait_for(options: &Options) -> anyhow::Result<()> {
    let patience = Duration::from_secs(options.patience);
    let deadline = Instant::now() + patience;
    loop {
        let error = match tokio::time::timeout_at(deadline, try_once(options)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => bail!("{} did not answer within {patience:?}", options.target),
        };
        if Instant::now() + Duration::from_millis(50) > deadline {
            return Err(error.context(format!("{} was not ready within {patience:?}", options.target)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn try_once(options: &Options) -> anyhow::Result<()> {
    let mut exchange = Exchange::new(options.kind, options.target).await?;
    exchange.once().await
}

async fn send(options: &Options) -> anyhow::Result<()> {
    let (warmup, seconds) = options.requests.map_or((options.warmup, options.seconds), |_| (0.0, LONGEST));
    let record = Rc::new(Record::new(Instant::now(), warmup, seconds)?);
    let pace = Rc::new(match options.requests {
        Some(requests) => Pace::counted(requests, record.end),
        None => Pace::new(options.rate, record.end),
    });
    let mut senders = Vec::new();
    for _ in 0..options.connections {
        let first = Exchange::new(options.kind, options.target).await.context("open the connections")?;
        for _ in 1..options.streams {
            senders.push(tokio::task::spawn_local(sender(first.sibling()?, pace.clone(), record.clone())));
        }
        senders.push(tokio::task::spawn_local(sender(first, pace.clone(), record.clone())));
    }
    if options.requests.is_none() {
        let (told, paced) = tokio::join!(narrate(&record), pace.run());
        told.and(paced)?;
    }
    let deadline = record.end.max(Instant::now()) + GRACE;
    for sender in senders {
        if tokio::time::timeout_at(deadline, sender).await.is_err() {
            record.failed("an answer was not there some seconds after the end");
        }
    }
    record.failed_many(pace.left(), "was never sent");
    say(&serde_json::to_string(&record.report())?)
}

/// Requests one after the other until the time is over; after a failure on a new connection.
async fn sender(mut exchange: Exchange, pace: Rc<Pace>, record: Rc<Record>) {
    while let Some(due) = pace.next().await {
        match exchange.once().await {
            Ok(()) => record.completed(due),
            Err(error) => {
                record.failed(&format!("{error:#}"));
                while exchange.reconnect().await.is_err() && Instant::now() < record.end {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

async fn narrate(record: &Record) -> anyhow::Result<()> {
    tokio::time::sleep_until(record.begin).await;
    say("begin")?;
    tokio::time::sleep_until(record.end).await;
    say("end")
}

/// A line for whoever started this.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("write the report")
}
