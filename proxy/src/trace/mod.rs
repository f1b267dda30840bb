//! Sends spans to a collector, by OTLP over HTTP/1.1 with protobuf (https://opentelemetry.io/docs/specs/otlp/#otlphttp).
//!
//! Runs on the control runtime. A batch goes out when it is full or a second old, over a connection of its own; one that is
//! not taken is dropped and counted, never sent twice. How spans come about: `telemetry/traces.rs`.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weft_api::otlp::{ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span};

use crate::{
    config::{Config, HostPort},
    endpoint::{ConnectError, Dial, connect},
    error::chain,
    telemetry::{SpanCounters, SpanOutcome, attribute},
};

/// Spans in one request.
const BATCH: usize = 512;
/// How long a span waits for others.
const WAIT: Duration = Duration::from_secs(1);
const CONNECT: Duration = Duration::from_secs(2);
/// For one request, from its connection to its answer.
const EXPORT: Duration = Duration::from_secs(10);
/// The answer says no more than its status does.
const MOST_ANSWER: usize = 64 << 10;
const PATH: &str = "/v1/traces";

/// Sends what is queued.
pub struct Exporter {
    collector: HostPort,
    dial: Dial,
    resource: Resource,
    counters: SpanCounters,
    queued: mpsc::Receiver<Span>,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the collector's name has no address")]
    Resolve(#[source] io::Error),
    #[error("no connection to the collector")]
    Connect(#[from] ConnectError),
    #[error("the collector does not speak HTTP/1.1")]
    Http(#[from] hyper::Error),
    #[error("the collector's name makes no request")]
    Request(#[from] http::Error),
    #[error("the collector answers {0}: does it take OTLP over HTTP at {PATH}?")]
    Status(StatusCode),
    #[error("the collector did not answer within {EXPORT:?}")]
    Late,
}

impl Exporter {
    /// Sends what comes by `queued` to a collector.
    pub fn new(config: &Config, collector: HostPort, counters: SpanCounters, queued: mpsc::Receiver<Span>) -> Self {
        let pod = &config.pod;
        let attributes = [
            ("service.name", &pod.service_account),
            ("service.namespace", &pod.namespace),
            ("k8s.namespace.name", &pod.namespace),
            ("k8s.pod.name", &pod.name),
        ];
        let attributes = attributes.into_iter().map(|(key, value)| attribute(key, value)).collect();
        let dial = Dial { mark: config.interception.mark, liveness: None };
        Self { collector, dial, resource: Resource { attributes }, counters, queued }
    }

    /// Sends until `stop`, then what is left.
    ///
    /// # Errors
    /// Never: what is not taken is counted.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut well = true;
        loop {
            let mut spans = Vec::new();
            let stopped = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.gather(&mut spans) => false,
            };
            if stopped {
                while let Ok(span) = self.queued.try_recv() {
                    spans.push(span);
                }
            }
            for batch in spans.chunks(BATCH) {
                well = self.send(batch, well).await;
            }
            if stopped {
                return Ok(());
            }
        }
    }

    /// Waits for a span, and a little for more.
    async fn gather(&mut self, spans: &mut Vec<Span>) {
        // The workers hold the other end: it is closed once they have ended, and then there is nothing but the stop to wait for.
        if self.queued.recv_many(spans, BATCH).await == 0 {
            std::future::pending::<()>().await;
        }
        let more =
            async { while spans.len() < BATCH && self.queued.recv_many(spans, BATCH - spans.len()).await > 0 {} };
        let _full_or_old = timeout(WAIT, more).await;
    }

    /// Whether it went well; changes of that are logged.
    async fn send(&self, spans: &[Span], was_well: bool) -> bool {
        let sent = timeout(EXPORT, self.export(spans)).await.unwrap_or(Err(ExportError::Late));
        let outcome = if sent.is_ok() { SpanOutcome::Exported } else { SpanOutcome::NotTaken };
        self.counters.count(outcome, spans.len());
        match &sent {
            Ok(()) if !was_well => info!(collector = %self.collector, "spans are taken again"),
            Err(error) if was_well => {
                warn!(collector = %self.collector, error = chain(error), "spans are lost (WEFT_OTLP_ENDPOINT)");
            }
            Ok(()) | Err(_) => {}
        }
        sent.is_ok()
    }

    async fn export(&self, spans: &[Span]) -> Result<(), ExportError> {
        let request = Request::post(PATH)
            .header(header::HOST, self.collector.to_string())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(self.message(spans).encode_to_vec())))?;
        let (mut send, connection) = http1::handshake(TokioIo::new(self.dial().await?)).await?;
        let exchange = async {
            let answer = send.send_request(request).await?;
            let status = answer.status();
            let _read = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
            Ok::<_, ExportError>(status)
        };
        tokio::pin!(exchange, connection);
        let status = tokio::select! {
            status = &mut exchange => status?,
            ended = &mut connection => {
                ended?;
                exchange.await?
            }
        };
        if status.is_success() { Ok(()) } else { Err(ExportError::Status(status)) }
    }

    async fn dial(&self) -> Result<TcpStream, ExportError> {
        let HostPort { host, port } = &self.collector;
        let addresses = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(ExportError::Resolve)?;
        let mut last = ExportError::Resolve(io::ErrorKind::NotFound.into());
        for address in addresses {
            match connect(address, self.dial, CONNECT).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn message(&self, spans: &[Span]) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope { name: "weft-proxy".into(), version: env!("CARGO_PKG_VERSION").into() };
        let spans = ScopeSpans { scope: Some(scope), spans: spans.to_vec() };
        let spans = ResourceSpans { resource: Some(self.resource.clone()), scope_spans: vec![spans] };
        ExportTraceServiceRequest { resource_spans: vec![spans] }
    }
}
