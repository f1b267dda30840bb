//! A collector on loopback, and what it is sent.

use std::net::SocketAddr;

use http::Response;
use http_body_util::Empty;
use hyper::{server::conn::http1 as server, service::service_fn};
use tokio::{net::TcpListener, sync::mpsc::UnboundedReceiver, task::JoinSet};

use super::*;
use crate::{
    access::{Access, Caller},
    address::{ClientAddr, OrigDst},
    http::Limits,
    http1 as http1_codec,
    mesh::Protocol,
    telemetry::{AccessLog, Direction, Metrics, Observers, Taps, Traces},
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests' heads and what they carry.
type Received = (http::request::Parts, ExportTraceServiceRequest);

/// A collector that answers each request with the next of these statuses, and with 200 after them.
async fn collector(mut answers: Vec<u16>) -> (SocketAddr, UnboundedReceiver<Received>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::unbounded_channel();
    answers.reverse();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let (sender, status) = (sender.clone(), answers.pop().unwrap_or(200));
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let sender = sender.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let _ = sender.send((head, ExportTraceServiceRequest::decode(body).unwrap()));
                    Response::builder().status(status).body(Empty::<Bytes>::new())
                }
            });
            let _ended = server::Builder::new().serve_connection(TokioIo::new(io), service).await;
        }
    });
    (address, received, tasks)
}

/// A proxy beside shop/users-1 that sends its spans there.
struct Given {
    observers: Observers,
    counters: SpanCounters,
    stop: CancellationToken,
    exporter: JoinSet<Result<(), Infallible>>,
}

fn given(collector: SocketAddr) -> Given {
    let config = Config::read(|name| match name {
        "WEFT_POD_NAMESPACE" => Some("shop".into()),
        "WEFT_POD_NAME" => Some("users-1".into()),
        "WEFT_POD_SERVICE_ACCOUNT" => Some("users".into()),
        "WEFT_POD_ADDRESSES" => Some("10.0.0.1".into()),
        "WEFT_CONTROL_PLANE_ADDRESS" => Some("127.0.0.1:1".into()),
        "WEFT_JOIN_TOKEN_FILE" => Some("/none".into()),
        "WEFT_OTLP_ENDPOINT" => Some(format!("http://{collector}")),
        _ => None,
    });
    let config = config.unwrap();
    let counters = Metrics::new(10).spans().clone();
    let (traces, queued) = Traces::new(config.observing.trace_ratio, counters.of(SpanOutcome::QueueFull));
    let exporter = Exporter::new(&config, config.observing.otlp.clone().unwrap(), counters.clone(), queued);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(exporter.run(stop.clone()));
    let observers = Observers { access_log: AccessLog::off(), taps: Taps::default(), traces };
    Given { observers, counters, stop, exporter: tasks }
}

impl Given {
    /// A request that ends.
    fn request(&self, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: users\r\ntraceparent: {PARENT}\r\n\r\n");
        let mut payload = Vec::new();
        http1_codec::read_request(head.as_bytes(), &Limits::default(), &mut payload).unwrap().unwrap();
        let caller = Caller {
            client: ClientAddr("10.0.0.9:1".parse().unwrap()),
            orig_dst: OrigDst("10.0.0.1:80".parse().unwrap()),
        };
        let service = ("shop", "users");
        let access = Access::new(&self.observers, (Direction::Inbound, caller), service, Protocol::Http1);
        access.head(&payload);
        access.status(200, None);
    }

    async fn counted(&self, outcome: SpanOutcome, spans: u64) {
        let counted = async {
            while self.counters.of(outcome).get() < spans {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, counted).await.expect("spans are counted");
        assert_eq!(self.counters.of(outcome).get(), spans);
    }
}

async fn next(received: &mut UnboundedReceiver<Received>) -> Received {
    timeout(PATIENCE, received.recv()).await.expect("spans come in time").unwrap()
}

#[tokio::test]
async fn a_collector_gets_spans_in_the_form_that_otlp_wants() {
    let (address, mut received, _collector) = collector(Vec::new()).await;
    let given = given(address);
    given.request("/users/1?token=secret");
    let (head, message) = next(&mut received).await;
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/v1/traces"));
    assert_eq!(head.headers[header::CONTENT_TYPE], "application/x-protobuf");
    assert_eq!(head.headers[header::HOST], address.to_string());
    let of_resource = &message.resource_spans[0];
    let resource = of_resource.resource.as_ref().unwrap();
    assert!(resource.attributes.contains(&attribute("service.name", "users")), "{resource:?}");
    assert!(resource.attributes.contains(&attribute("k8s.pod.name", "users-1")), "{resource:?}");
    let span = &of_resource.scope_spans[0].spans[0];
    assert_eq!((span.trace_id.len(), span.span_id.len(), span.parent_span_id[7]), (16, 8, 0xb7));
    assert!(span.attributes.contains(&attribute("url.path", "/users/1")), "{span:?}");
    given.counted(SpanOutcome::Exported, 1).await;
}

#[tokio::test]
async fn spans_that_a_collector_does_not_take_are_counted_and_the_next_ones_are_sent() {
    let (address, mut received, _collector) = collector(vec![503]).await;
    let given = given(address);
    given.request("/lost");
    next(&mut received).await;
    given.counted(SpanOutcome::NotTaken, 1).await;
    given.request("/kept");
    let (_, message) = next(&mut received).await;
    let span = &message.resource_spans[0].scope_spans[0].spans[0];
    assert!(span.attributes.contains(&attribute("url.path", "/kept")), "{span:?}");
    given.counted(SpanOutcome::Exported, 1).await;
}

#[tokio::test]
async fn without_a_collector_spans_are_lost_and_counted() {
    let (address, _, gone) = collector(Vec::new()).await;
    drop(gone);
    let given = given(address);
    given.request("/lost");
    given.counted(SpanOutcome::NotTaken, 1).await;
}

#[tokio::test]
async fn what_is_queued_when_the_proxy_stops_is_still_sent() {
    let (address, mut received, _collector) = collector(Vec::new()).await;
    let mut given = given(address);
    given.stop.cancel();
    (0..BATCH + 1).for_each(|_| given.request("/last"));
    assert!(timeout(PATIENCE, given.exporter.join_next()).await.expect("it ends").unwrap().is_ok());
    let sent = given.counters.of(SpanOutcome::Exported).get();
    assert_eq!(sent, BATCH as u64 + 1);
    let (_, first) = next(&mut received).await;
    assert_eq!(first.resource_spans[0].scope_spans[0].spans.len(), BATCH, "a request has so many at most");
}
