//! The access log: one line for each request or opaque connection that has ended.
//!
//! A worker writes the line into a bounded queue and never waits: what does not fit is dropped and counted. The control
//! thread writes the lines out. Paths are logged without their query, and no header values, for both may hold secrets.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use prometheus::IntCounter;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{labels::Direction, trace_context::TraceContext};
use crate::{
    address::{ClientAddr, EndpointAddr, OrigDst},
    config::AccessLogFormat,
};

/// Lines that are written with one system call at most.
const BATCH: usize = 256;

/// What there is to say about one request or connection.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub elapsed: Duration,
    /// Which way.
    pub direction: Direction,
    /// Who connected.
    pub client: ClientAddr,
    /// Where the client wanted to go.
    pub orig_dst: OrigDst,
    /// Where it went; none if it was refused before.
    pub endpoint: Option<EndpointAddr>,
    /// The service that is called, as `namespace/name`; empty for foreign addresses.
    pub service: &'a str,
    /// The route that matched.
    pub route: &'a str,
    /// The protocol, as `HTTP/1.1`, `HTTP/2.0` or `TCP`.
    pub protocol: &'a str,
    /// The request's method; empty for an opaque connection.
    pub method: &'a str,
    /// The request's path, without its query; empty for an opaque connection.
    pub path: &'a str,
    /// The status that the client got; 0 for an opaque connection.
    pub status: u16,
    /// The gRPC status that the client got.
    pub grpc_status: Option<u8>,
    /// Bytes of body, or of an opaque connection, from the client.
    pub received: u64,
    /// Bytes of body, or of an opaque connection, to the client.
    pub sent: u64,
    /// The verified identity of the other side.
    pub identity: Option<&'a str>,
    /// The value of `weft-proxy-error` if the proxy itself ended it.
    pub error: Option<&'static str>,
    /// The trace that it is part of, if a span of it is wanted.
    pub trace: Option<TraceContext>,
}

/// Takes entries on any worker. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    on: Option<Queue>,
}

#[derive(Clone)]
struct Queue {
    format: AccessLogFormat,
    lines: mpsc::Sender<String>,
    dropped: IntCounter,
}

/// Writes out what the workers put in; runs on the control thread.
pub struct AccessLogWriter {
    lines: mpsc::Receiver<String>,
}

impl AccessLog {
    /// A log that takes nothing.
    pub fn off() -> Self {
        Self { on: None }
    }

    /// A log whose queue holds `limit` lines; `dropped` counts those that found it full.
    pub fn new(format: AccessLogFormat, limit: usize, dropped: &IntCounter) -> (Self, AccessLogWriter) {
        let (sender, lines) = mpsc::channel(limit.max(1));
        let on = Queue { format, lines: sender, dropped: dropped.clone() };
        (Self { on: Some(on) }, AccessLogWriter { lines })
    }

    /// Whether entries are wanted at all: ask before gathering one.
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Puts a line into the queue, or drops it when the queue is full. Never waits.
    pub fn record(&self, entry: &Entry<'_>) {
        let Some(queue) = &self.on else { return };
        let line = match queue.format {
            AccessLogFormat::Common => common(entry),
            AccessLogFormat::Json => json(entry),
        };
        if queue.lines.try_send(line).is_err() {
            queue.dropped.inc();
        }
    }
}

impl AccessLogWriter {
    /// Writes lines until `stop`, then what is left.
    ///
    /// # Errors
    /// The output is gone.
    pub async fn run(mut self, mut output: impl AsyncWrite + Unpin, stop: CancellationToken) -> std::io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                number = self.lines.recv_many(&mut batch, BATCH) => if number == 0 { return Ok(()) },
                () = stop.cancelled() => return Ok(()),
            }
            output.write_all(batch.concat().as_bytes()).await?;
            output.flush().await?;
            batch.clear();
        }
    }
}

/// The JSON line. Fields that do not apply are left out.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    direction: &'static str,
    #[serde(rename = "client.addr")]
    client: SocketAddr,
    orig_dst: SocketAddr,
    #[serde(rename = "endpoint.addr", skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
    #[serde(skip_serializing_if = "str::is_empty")]
    service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    protocol: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc_status: Option<u8>,
    received_bytes: u64,
    sent_bytes: u64,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

fn json(entry: &Entry<'_>) -> String {
    let line = Line {
        time: OffsetDateTime::from(entry.began).format(&Rfc3339).unwrap_or_default(),
        direction: entry.direction.label(),
        client: entry.client.0,
        orig_dst: entry.orig_dst.0,
        endpoint: entry.endpoint.map(|endpoint| endpoint.0),
        service: entry.service,
        route: entry.route,
        protocol: entry.protocol,
        method: entry.method,
        path: without_query(entry.path),
        status: (entry.status != 0).then_some(entry.status),
        grpc_status: entry.grpc_status,
        received_bytes: entry.received,
        sent_bytes: entry.sent,
        duration_seconds: entry.elapsed.as_secs_f64(),
        identity: entry.identity,
        error: entry.error,
    };
    // Strings and numbers only: this cannot go wrong.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

/// `client - identity [time] "METHOD path protocol" status bytes seconds`, as web servers write it.
fn common(entry: &Entry<'_>) -> String {
    let mut line = String::with_capacity(160);
    let began = OffsetDateTime::from(entry.began);
    let (date, clock) = (began.date(), began.time());
    let month = &date.month().to_string()[..3];
    let (hour, minute, second) = clock.as_hms();
    let identity = entry.identity.unwrap_or("-");
    // Writing to a String cannot go wrong.
    let _ = write!(line, "{} - {identity} [{:02}/{month}/{}", entry.client.0.ip(), date.day(), date.year());
    let _ = write!(line, ":{hour:02}:{minute:02}:{second:02} +0000] \"");
    if entry.method.is_empty() {
        let _ = write!(line, "{} {}", entry.protocol, entry.orig_dst);
    } else {
        push_quoted(&mut line, entry.method);
        line.push(' ');
        push_quoted(&mut line, without_query(entry.path));
        let _ = write!(line, " {}", entry.protocol);
    }
    let status = if entry.status == 0 { "-".to_owned() } else { entry.status.to_string() };
    let _ = writeln!(line, "\" {status} {} {:.6}", entry.sent, entry.elapsed.as_secs_f64());
    line
}

/// A path as it may be shown: its query may hold secrets.
pub(super) fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// What a client chose must not end the quotes or the line.
fn push_quoted(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// A request that has ended.
    pub(in crate::telemetry) fn entry() -> Entry<'static> {
        Entry {
            began: SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 40 + 3_661),
            elapsed: Duration::from_micros(1_500),
            direction: Direction::Outbound,
            client: ClientAddr("10.0.0.1:40000".parse().unwrap()),
            orig_dst: OrigDst("10.96.0.5:80".parse().unwrap()),
            endpoint: Some(EndpointAddr("10.0.0.7:8080".parse().unwrap())),
            service: "shop/users",
            route: "",
            protocol: "HTTP/1.1",
            method: "GET",
            path: "/a\"\n?token=secret",
            status: 200,
            grpc_status: None,
            received: 0,
            sent: 42,
            identity: Some("spiffe://cluster.local/ns/shop/sa/users"),
            error: None,
            trace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixture::entry, *};

    #[test]
    fn a_common_line_is_one_line_whatever_the_client_sent() {
        assert_eq!(
            common(&entry()),
            "10.0.0.1 - spiffe://cluster.local/ns/shop/sa/users [10/Feb/1970:01:01:01 +0000] \"GET /a\\\"\\n HTTP/1.1\" 200 42 0.001500\n"
        );
        let tcp = Entry { method: "", path: "", protocol: "TCP", status: 0, identity: None, ..entry() };
        assert_eq!(common(&tcp), "10.0.0.1 - - [10/Feb/1970:01:01:01 +0000] \"TCP 10.96.0.5:80\" - 42 0.001500\n");
    }

    #[test]
    fn a_json_line_leaves_out_the_query_and_what_does_not_apply() {
        let line = json(&entry());
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["path"], "/a\"\n");
        assert_eq!(parsed["status"], 200);
        assert_eq!(parsed["endpoint.addr"], "10.0.0.7:8080");
        assert_eq!(parsed["time"], "1970-02-10T01:01:01Z");
        assert!(parsed.get("grpc_status").is_none() && parsed.get("route").is_none());
        assert!(!line.contains("secret") && line.ends_with("}\n") && line.lines().count() == 1);
    }

    #[tokio::test]
    async fn lines_that_do_not_fit_are_dropped_and_counted() {
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let (log, writer) = AccessLog::new(AccessLogFormat::Json, 2, &dropped);
        (0..5).for_each(|_| log.record(&entry()));
        drop(log);
        let mut output = Vec::new();
        writer.run(&mut output, CancellationToken::new()).await.unwrap();
        assert_eq!(dropped.get(), 3);
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 2);
    }

    #[tokio::test]
    async fn what_is_queued_when_the_proxy_stops_is_still_written() {
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let (log, writer) = AccessLog::new(AccessLogFormat::Common, 8, &dropped);
        log.record(&entry());
        let stop = CancellationToken::new();
        stop.cancel();
        let mut output = Vec::new();
        writer.run(&mut output, stop).await.unwrap();
        assert!(output.ends_with(b"\n"));
        assert!(log.is_on() && !AccessLog::off().is_on());
    }
}
