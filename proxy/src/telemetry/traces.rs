//! Spans of requests whose callers trace them: one for each, as a child of the caller's own.
//!
//! `traceparent` and `tracestate` (W3C Trace Context) pass through this proxy as they are; it adds no hop to a trace that it
//! was not asked to. A request is part of a sampled trace, or no span is made of it. A worker puts spans into a bounded queue
//! and never waits: what does not fit is dropped and counted. Who sends them: `trace/`.

use std::time::{Duration, SystemTime};

use prometheus::IntCounter;
use tokio::sync::mpsc;
use weft_api::otlp::{AnyValue, KeyValue, Span, SpanKind, Status, StatusCode, any_value::Value};

use super::{
    access_log::{Entry, without_query},
    labels::Direction,
    trace_context::TraceContext,
};

/// Spans that wait to be sent.
const QUEUE: usize = 4096;

/// Takes spans on any worker. Cheap to clone.
#[derive(Clone, Default)]
pub struct Traces(Option<On>);

#[derive(Clone)]
struct On {
    /// Of 2^63 traces, so many.
    threshold: u64,
    queue: mpsc::Sender<Span>,
    dropped: IntCounter,
}

impl Traces {
    /// Takes this share (0 to 1) of the traces that callers sample; `dropped` counts spans that found the queue full.
    pub fn new(ratio: f64, dropped: &IntCounter) -> (Self, mpsc::Receiver<Span>) {
        let (queue, queued) = mpsc::channel(QUEUE);
        let threshold = (ratio.clamp(0.0, 1.0) * 2_f64.powi(63)) as u64;
        (Self(Some(On { threshold, queue, dropped: dropped.clone() })), queued)
    }

    /// Whether spans are wanted at all.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// The trace of a request with this `traceparent`, if a span of it is wanted. Every proxy decides the same for one trace.
    pub fn wanted(&self, traceparent: Option<&[u8]>) -> Option<TraceContext> {
        let on = self.0.as_ref()?;
        let context = TraceContext::parse(traceparent?)?;
        let [.., a, b, c, d, e, f, g, h] = context.trace_id;
        let chance = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        (context.sampled && chance < on.threshold).then_some(context)
    }

    /// Makes a span of a request that has ended. Never waits.
    pub(super) fn record(&self, entry: &Entry<'_>) {
        if let (Some(on), Some(context)) = (&self.0, entry.trace)
            && on.queue.try_send(span(&context, entry)).is_err()
        {
            on.dropped.inc();
        }
    }
}

fn span(context: &TraceContext, entry: &Entry<'_>) -> Span {
    let began = entry.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (kind, failed) = match entry.direction {
        Direction::Inbound => (SpanKind::Server, entry.status == 0 || entry.status >= 500),
        Direction::Outbound => (SpanKind::Client, entry.status == 0 || entry.status >= 400),
    };
    let failed = failed || entry.grpc_status.is_some_and(|status| status != 0);
    Span {
        trace_id: context.trace_id.to_vec(),
        span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
        parent_span_id: context.parent_id.to_vec(),
        name: format!("{} {}", entry.method, entry.service).trim_end().to_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(began + entry.elapsed),
        attributes: attributes(entry),
        status: Some(Status { code: if failed { StatusCode::Error } else { StatusCode::Unset }.into() }),
    }
}

/// By OpenTelemetry's conventions for HTTP and RPC, and names of our own for what they have none for.
fn attributes(entry: &Entry<'_>) -> Vec<KeyValue> {
    let mut found = vec![
        text("http.request.method", entry.method),
        text("url.path", without_query(entry.path)),
        text("network.peer.address", &entry.client.0.ip().to_canonical().to_string()),
    ];
    if entry.status != 0 {
        found.push(number("http.response.status_code", entry.status.into()));
    }
    found.extend(entry.grpc_status.map(|status| number("rpc.grpc.status_code", status.into())));
    found.extend(entry.endpoint.map(|endpoint| text("server.address", &endpoint.to_string())));
    let ours = [
        ("weft.service", Some(entry.service)),
        ("weft.route", Some(entry.route)),
        ("weft.identity", entry.identity),
        ("weft.proxy_error", entry.error),
    ];
    found.extend(ours.into_iter().filter_map(|(key, value)| Some(text(key, value.filter(|value| !value.is_empty())?))));
    found
}

/// An attribute.
pub fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::StringValue(value.into())) }) }
}

fn number(key: &str, value: i64) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::IntValue(value)) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access_log::fixture::entry;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traces(ratio: f64) -> (Traces, mpsc::Receiver<Span>, IntCounter) {
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let (traces, queued) = Traces::new(ratio, &dropped);
        (traces, queued, dropped)
    }

    #[test]
    fn a_span_is_made_of_sampled_traces_by_their_share_and_every_proxy_chooses_the_same() {
        let (all, ..) = traces(1.0);
        let (none, ..) = traces(0.0);
        let (half, ..) = traces(0.5);
        let (other, ..) = traces(0.5);
        assert_eq!(Traces::default().wanted(Some(PARENT.as_bytes())), None);
        assert_eq!(all.wanted(Some(PARENT.replace("-01", "-00").as_bytes())), None);
        let mut chosen = 0;
        for _ in 0..4000 {
            let parent = format!("00-{:032x}-00f067aa0ba902b7-01", fastrand::u128(1..));
            let parent = Some(parent.as_bytes());
            assert!(all.wanted(parent).is_some() && none.wanted(parent).is_none());
            assert_eq!(half.wanted(parent), other.wanted(parent));
            chosen += usize::from(half.wanted(parent).is_some());
        }
        assert!((1600..2400).contains(&chosen), "{chosen}");
    }

    #[test]
    fn a_request_becomes_a_child_of_its_callers_span_without_its_query() {
        let (traces, mut queued, _) = traces(1.0);
        let trace = traces.wanted(Some(PARENT.as_bytes()));
        traces.record(&Entry { trace, path: "/a?token=secret", status: 404, ..entry() });
        traces.record(&Entry { trace: None, ..entry() });
        let span = queued.try_recv().unwrap();
        assert_eq!(span.parent_span_id, trace.unwrap().parent_id);
        assert_eq!((span.kind(), span.name.as_str()), (SpanKind::Client, "GET shop/users"));
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 1_500_000);
        assert!(span.attributes.contains(&text("url.path", "/a")), "{span:?}");
        assert!(span.attributes.contains(&number("http.response.status_code", 404)), "{span:?}");
        assert_eq!(
            span.status.unwrap().code(),
            StatusCode::Error,
            "a client is at fault that asks for what is not there"
        );
        assert!(queued.try_recv().is_err(), "a request that nobody traces has no span");
    }

    #[test]
    fn spans_that_do_not_fit_are_dropped_and_counted() {
        let (traces, _queued, dropped) = traces(1.0);
        let trace = traces.wanted(Some(PARENT.as_bytes()));
        (0..QUEUE + 3).for_each(|_| traces.record(&Entry { trace, ..entry() }));
        assert_eq!(dropped.get(), 3);
    }
}
