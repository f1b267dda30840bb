//! Load whose every request is accounted for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use super::one::Client;

/// What is sent.
pub struct Load {
    /// host:port.
    pub target: String,
    /// For how long.
    pub time: Duration,
    /// Clients beside each other.
    pub clients: usize,
    /// After each request.
    pub pause: Duration,
    /// Speak HTTP/2.
    pub http2: bool,
}

/// What became of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    requests: u64,
    failed_gets: u64,
    failed_posts: u64,
    /// Ids of POSTs that were answered with success.
    posted: Vec<String>,
    /// Of the first failures, what they were.
    failures: Vec<String>,
    /// The slowest answer, in milliseconds.
    slowest_ms: u64,
}

impl Load {
    /// Sends until the time is over.
    pub async fn run(self) -> Report {
        let mut clients = JoinSet::new();
        let end = Instant::now() + self.time;
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        for number in 0..self.clients {
            let (target, pause, http2) = (self.target.clone(), self.pause, self.http2);
            let prefix = format!("{run:x}-{number}");
            clients.spawn(async move { one_client(&target, (end, pause, http2), &prefix).await });
        }
        let mut whole = Report::default();
        while let Some(Ok(report)) = clients.join_next().await {
            whole.requests += report.requests;
            whole.failed_gets += report.failed_gets;
            whole.failed_posts += report.failed_posts;
            whole.posted.extend(report.posted);
            whole.failures.extend(report.failures);
            whole.failures.truncate(20);
            whole.slowest_ms = whole.slowest_ms.max(report.slowest_ms);
        }
        whole
    }
}

async fn one_client(target: &str, (end, pause, http2): (Instant, Duration, bool), prefix: &str) -> Report {
    let mut report = Report::default();
    let mut client = None;
    while Instant::now() < end {
        let post = report.requests % 3 == 2;
        let id = format!("{prefix}-{}", report.requests);
        let began = Instant::now();
        report.requests += 1;
        match send(&mut client, (target, http2), post, &id).await {
            Ok(()) if post => report.posted.push(id),
            Ok(()) => {}
            Err(error) => {
                client = None;
                *(if post { &mut report.failed_posts } else { &mut report.failed_gets }) += 1;
                report.failures.push(format!("{id}: {error:#}"));
            }
        }
        report.slowest_ms = report.slowest_ms.max(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
    }
    report
}

async fn send(client: &mut Option<Client>, (target, http2): (&str, bool), post: bool, id: &str) -> anyhow::Result<()> {
    let client = match client {
        Some(client) if client.is_open() => client,
        gone => gone.insert(Client::connect(target, http2).await?),
    };
    let (method, body) = if post { ("POST", format!("order {id}")) } else { ("GET", String::new()) };
    let request = Request::builder().method(method).uri(format!("http://{target}/load")).header("x-id", id);
    let response = client.send(request.body(Full::from(Bytes::from(body)))?).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    anyhow::ensure!(
        parts.status.is_success(),
        "{} {:?} {}",
        parts.status,
        parts.headers.get("weft-proxy-error"),
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
