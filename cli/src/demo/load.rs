//! `weft demo-load`, the client in the demo's sandbox: steady load, and a line on what became of it.
//!
//! Requests fall due at a constant rate, whatever the answers do, and their time counts from when they were due: a slow
//! answer is not hidden by the requests that it kept from being sent.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::report::Report;

/// The client gives up on an answer after this time.
const PATIENCE: Duration = Duration::from_secs(10);
const USERS: &str = "users:8080";
const ORDERS: &str = "orders:8080";
/// Microseconds.
const LONGEST: u64 = 60_000_000;

/// The arguments of `demo-load`.
#[derive(Args)]
pub struct Arguments {
    /// Requests a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Clients beside each other, each with its own connections
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
}

/// Runs until it is ended from outside.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    wait_for(USERS).await;
    wait_for(ORDERS).await;
    let counts = Arc::new(Mutex::new(Counts::new()?));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for first in 0..arguments.clients {
        let schedule = Schedule { start, rate: arguments.rate, first, step: arguments.clients };
        clients.spawn(client(schedule, counts.clone()));
    }
    let mut lines = interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = lines.tick() => {
                let report = counts.lock().unwrap_or_else(PoisonError::into_inner).report();
                crate::print(&serde_json::to_string(&report)?)?;
            }
            Some(ended) = clients.join_next() => match ended {
                Ok(never) => match never {},
                Err(error) => bail!("a client ended: {error}"),
            },
        }
    }
}

/// Every so manieth request of all.
struct Schedule {
    start: Instant,
    rate: u32,
    first: u32,
    step: u32,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / f64::from(self.rate))
    }
}

async fn client(schedule: Schedule, counts: Arc<Mutex<Counts>>) -> std::convert::Infallible {
    let (mut users, mut orders) = (Peer::new(USERS), Peer::new(ORDERS));
    let mut number = u64::from(schedule.first);
    loop {
        let due = schedule.due(number);
        sleep_until(due).await;
        let user = number % 3 + 1;
        let outcome = match number % 10 {
            0 => {
                let product = number / 10 % 8 + 1;
                let order = format!(r#"{{"user_id":{user},"items":[{{"product_id":{product},"quantity":1}}]}}"#);
                orders.ask(Method::POST, "/orders", Bytes::from(order)).await
            }
            1..=4 => orders.ask(Method::GET, "/orders?limit=3", Bytes::new()).await,
            _ => users.ask(Method::GET, &format!("/users/{user}"), Bytes::new()).await,
        };
        counts.lock().unwrap_or_else(PoisonError::into_inner).add(due.elapsed(), outcome.err());
        number += u64::from(schedule.step);
    }
}

/// A service that asks nothing of its clients may still be on its way up.
async fn wait_for(host: &'static str) {
    while Peer::new(host).ask(Method::GET, "/health", Bytes::new()).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}

/// A service, and the one connection to it that is kept.
struct Peer {
    host: &'static str,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with this value.
    _driver: JoinSet<()>,
}

impl Peer {
    fn new(host: &'static str) -> Self {
        Self { host, connection: None }
    }

    /// `Err` is the reason in a few words, the same ones for the same reason.
    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<(), String> {
        let name = format!("{method} http://{}{path}", self.host);
        let Ok(outcome) = timeout(PATIENCE, self.exchange(method, path, body)).await else {
            self.connection = None;
            return Err(format!("{name}: no answer within {PATIENCE:?}"));
        };
        outcome.map_err(|reason| {
            self.connection = None;
            format!("{name}: {reason}")
        })
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<(), String> {
        let is_open = self.connection.as_mut().is_some_and(|connection| !connection.sender.is_closed());
        if !is_open {
            self.connection = Some(connect(self.host).await?);
        }
        let Some(Connection { sender, .. }) = &mut self.connection else { return Ok(()) };
        sender.ready().await.map_err(|error| error.to_string())?;
        let request = Request::builder().method(method).uri(path).header(HOST, self.host);
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body));
        let answer = sender.send_request(request.map_err(|error| error.to_string())?).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let made_by_proxy = answer.headers().get("weft-proxy-error").and_then(|value| value.to_str().ok());
        let made_by_proxy = made_by_proxy.map(|reason| format!(" ({reason})")).unwrap_or_default();
        answer.into_body().collect().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(()) } else { Err(format!("{status}{made_by_proxy}")) }
    }
}

async fn connect(host: &str) -> Result<Connection, String> {
    let stream = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        // Whoever waits for an answer hears of its end too.
        let _ = driver.await;
    });
    Ok(Connection { sender, _driver: task })
}

/// What became of the requests so far.
struct Counts {
    failures: std::collections::BTreeMap<String, u64>,
    microseconds: Histogram<u64>,
}

impl Counts {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { failures: Default::default(), microseconds: Histogram::new_with_bounds(1, LONGEST, 3)? })
    }

    fn add(&mut self, elapsed: Duration, failure: Option<String>) {
        self.microseconds.saturating_record(u64::try_from(elapsed.as_micros()).unwrap_or(LONGEST));
        if let Some(reason) = failure {
            *self.failures.entry(reason).or_default() += 1;
        }
    }

    fn report(&self) -> Report {
        let milliseconds = |q| self.microseconds.value_at_quantile(q) as f64 / 1000.0;
        Report {
            requests: self.microseconds.len(),
            failures: self.failures.values().sum(),
            reasons: self.failures.clone(),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_due_at_the_rate_whoever_sends_them() {
        let start = Instant::now();
        let schedule = Schedule { start, rate: 100, first: 3, step: 16 };
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(150) - start, Duration::from_millis(1500));
    }

    #[test]
    fn a_report_counts_failures_by_reason_and_all_requests() {
        let mut counts = Counts::new().unwrap();
        for milliseconds in 1..=100 {
            counts.add(Duration::from_millis(milliseconds), (milliseconds > 98).then(|| "503".to_owned()));
        }
        let report = counts.report();
        assert_eq!((report.requests, report.failures, report.reasons["503"]), (100, 2, 2));
        assert!((report.p50_ms - 50.0).abs() < 0.1 && (report.p99_ms - 99.0).abs() < 0.1, "{report:?}");
    }
}
