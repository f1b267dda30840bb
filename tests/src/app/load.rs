//! Load whose every request is accounted for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{one::Client, unary};

/// Failures that are told in words.
const MOST_TOLD: usize = 20;

/// What is sent.
pub struct Load {
    /// host:port.
    pub target: String,
    /// The path; its answer holds the request's id.
    pub path: String,
    /// For how long at most.
    pub time: Duration,
    /// Clients beside each other.
    pub clients: usize,
    /// When.
    pub pace: Pace,
    /// In what form.
    pub protocol: Protocol,
}

/// When a client sends.
#[derive(Clone, Copy)]
pub enum Pace {
    /// So long after each answer, give or take half of it.
    Pause(Duration),
    /// So many requests per second by all clients together, however long the answers take.
    Rate(u32),
}

/// What a request looks like.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// GETs, and a third POSTs, over HTTP/1.1.
    Http1,
    /// The same over HTTP/2.
    Http2,
    /// Unary calls.
    Grpc,
}

/// What became of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    requests: u64,
    failed_gets: u64,
    failed_posts: u64,
    /// Ids of POSTs (all calls of gRPC are) that were answered with success.
    posted: Vec<String>,
    /// Of all that failed, the id and when (microseconds since 1970).
    failed: Vec<(String, u64)>,
    /// Of the first failures, what they were and when.
    failures: Vec<String>,
    /// The slowest answer, in milliseconds; at a constant rate counted from when the request was due.
    slowest_ms: u64,
}

impl Load {
    /// Sends until the time is over or it is told to stop; what is under way then is awaited.
    pub async fn run(self, stop: CancellationToken) -> Report {
        let mut clients = JoinSet::new();
        let start = Instant::now();
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        for number in 0..self.clients {
            let due = Due::new(self.pace, start, (number, self.clients));
            let sender = Sender {
                target: self.target.clone(),
                path: self.path.clone(),
                protocol: self.protocol,
                id: format!("{run:x}-{number}"),
            };
            let (stop, end) = (stop.clone(), start + self.time);
            clients.spawn(sender.run(due, move |now| now >= end || stop.is_cancelled()));
        }
        let mut whole = Report::default();
        while let Some(Ok(report)) = clients.join_next().await {
            whole.requests += report.requests;
            whole.failed_gets += report.failed_gets;
            whole.failed_posts += report.failed_posts;
            whole.posted.extend(report.posted);
            whole.failed.extend(report.failed);
            whole.failures.extend(report.failures);
            whole.failures.truncate(MOST_TOLD);
            whole.slowest_ms = whole.slowest_ms.max(report.slowest_ms);
        }
        whole
    }
}

/// When one client's next request is due.
struct Due {
    pace: Pace,
    next: Instant,
    interval: Duration,
}

impl Due {
    /// The clients take turns, so that together they keep the rate evenly.
    fn new(pace: Pace, start: Instant, (number, of): (usize, usize)) -> Self {
        let each = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let Pace::Rate(rate) = pace else { return Self { pace, next: start, interval: Duration::ZERO } };
        let between = Duration::from_secs(1) / rate.max(1);
        Self { pace, next: start + between * each(number), interval: between * each(of) }
    }

    /// Waits for it. After a slow answer of a constant rate, the next ones follow at once until the rate is met again.
    async fn wait(&mut self) -> Instant {
        match self.pace {
            Pace::Pause(pause) => {
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                Instant::now()
            }
            Pace::Rate(_) => {
                let due = self.next;
                self.next += self.interval;
                tokio::time::sleep_until(due).await;
                due
            }
        }
    }
}

/// One client.
struct Sender {
    target: String,
    path: String,
    protocol: Protocol,
    id: String,
}

impl Sender {
    async fn run(self, mut due: Due, is_over: impl Fn(Instant) -> bool) -> Report {
        let mut report = Report::default();
        let mut client = None;
        loop {
            let began = due.wait().await;
            if is_over(began) {
                return report;
            }
            let post = self.protocol == Protocol::Grpc || report.requests % 3 == 2;
            let id = format!("{}-{}", self.id, report.requests);
            report.requests += 1;
            match self.send(&mut client, post, &id).await {
                Ok(()) if post => report.posted.push(id),
                Ok(()) => {}
                Err(error) => {
                    client = None;
                    *(if post { &mut report.failed_posts } else { &mut report.failed_gets }) += 1;
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
                    report.failures.push(format!("{now} {id}: {error:#}"));
                    report.failures.truncate(MOST_TOLD);
                    report.failed.push((id, u64::try_from(now).unwrap_or(u64::MAX)));
                }
            }
            report.slowest_ms = report.slowest_ms.max(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
    }

    async fn send(&self, client: &mut Option<Client>, post: bool, id: &str) -> anyhow::Result<()> {
        let client = match client {
            Some(client) if client.is_open() => client,
            gone => gone.insert(Client::connect(&self.target, self.protocol != Protocol::Http1).await?),
        };
        let request = if self.protocol == Protocol::Grpc {
            unary::call(&self.target, id)?
        } else {
            let (method, body) = if post { ("POST", format!("order {id}")) } else { ("GET", String::new()) };
            let request = Request::builder().method(method).uri(format!("http://{}{}", self.target, self.path));
            request.header("x-id", id).body(Full::from(Bytes::from(body)))?
        };
        self.check(client.send(request).await?, id).await
    }

    async fn check(&self, response: Response<Incoming>, id: &str) -> anyhow::Result<()> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned();
        let body = body.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let reason = parts.headers.get("weft-proxy-error");
        anyhow::ensure!(parts.status.is_success(), "{} {reason:?} {text}", parts.status);
        if self.protocol == Protocol::Grpc {
            return unary::check(&parts.headers, trailers.as_ref(), &body, id);
        }
        anyhow::ensure!(text.contains(id), "the answer to another request: {text}");
        Ok(())
    }
}
