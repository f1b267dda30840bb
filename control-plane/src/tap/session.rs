//! One tap: the proxies behind its target are asked at once, and what they tell becomes one stream of lines.
//!
//! A proxy, and this process, drop what their reader is too slow for, and tell how much. When the reader goes away, so do the
//! calls to the proxies.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};
use weft_api::pb::{ObserveRequest, ObserveResponse, TapDirection, TappedRequest, tap_client::TapClient};
use weft_certs::SpiffeId;

use super::line::{Line, Party, Tapped};
use crate::{
    error::chain,
    identity::{Authority, AuthorityError},
    index::{Index, Pod},
    serve::Hub,
};

/// The proxy's default, and how the injector would name another.
const TAP_PORT: (&str, u16) = ("weft-tap", 4190);
/// For connection, handshake, and the proxy's first word.
const CONNECT: Duration = Duration::from_secs(5);
/// A proxy that is gone without a word is found out within these two.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_ANSWER: Duration = Duration::from_secs(5);
/// Lines that wait for the reader.
const QUEUE: usize = 1024;
/// An empty line tells a reader that hears of no request that the tap is alive.
const BEAT: Duration = Duration::from_secs(5);

/// A proxy to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pod: String,
    address: SocketAddr,
    identity: SpiffeId,
}

/// What all calls of one tap share.
#[derive(Clone)]
pub(super) struct Tap {
    pub(super) hub: Arc<Hub>,
    pub(super) authority: Arc<Authority>,
    pub(super) wanted: ObserveRequest,
    /// Whose requests alone are wanted, by [`Party::is_called`]; empty for everybody's.
    pub(super) from: String,
}

/// Why a proxy does not tell.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no TLS")]
    Tls(#[from] AuthorityError),
    #[error("no connection: is it running, and does a NetworkPolicy let the control plane reach port 4190?")]
    Connect(#[from] tonic::transport::Error),
    #[error("no answer within {CONNECT:?}: does a NetworkPolicy let the control plane reach port 4190?")]
    Late,
    #[error("{}", .0.message())]
    Refused(#[from] Box<Status>),
    #[error("it has ended")]
    Ended,
}

impl Proxy {
    /// The proxy beside a pod. None: there is none that could be reached.
    pub(super) fn beside(pod: &Pod, trust_domain: &str) -> Option<Self> {
        let (name, usual) = TAP_PORT;
        let port = pod.ports.iter().find(|port| port.name == name).map_or(usual, |port| port.port);
        let address = SocketAddr::new(*pod.addresses.first().filter(|_| pod.meshed)?, port);
        let identity = SpiffeId::new(trust_domain, &pod.name.namespace, &pod.service_account).ok()?;
        Some(Self { pod: pod.name.to_string(), address, identity })
    }
}

impl Tap {
    /// All that these proxies tell, until all of them have ended or `stop`.
    pub(super) fn lines(
        self,
        proxies: Vec<Proxy>,
        left_out: usize,
        (stop, permit): (CancellationToken, OwnedSemaphorePermit),
    ) -> impl Stream<Item = Result<Bytes, io::Error>> {
        let (sender, lines) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        // There is room for the first line.
        let _ = sender.try_send(Line::Tapping { pods: proxies.len(), left_out });
        let mut calls = JoinSet::new();
        for proxy in proxies {
            let out = Out { lines: sender.clone(), dropped: dropped.clone() };
            calls.spawn(self.clone().follow(proxy, out));
        }
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = Session { lines, dropped, beat, stop, _calls: calls, _permit: permit };
        stream::unfold(session, |mut session| async move {
            let text = session.next().await?;
            Some((Ok(text), session))
        })
    }

    async fn follow(self, proxy: Proxy, out: Out) {
        let error = match self.observe(&proxy, &out).await {
            Ok(never) => match never {},
            Err(error) => chain(&error),
        };
        // It is worth waiting for: what is lost is not told twice.
        let _ = out.lines.send(Line::Lost { pod: proxy.pod, error }).await;
    }

    async fn observe(&self, proxy: &Proxy, out: &Out) -> Result<std::convert::Infallible, Lost> {
        let began = async {
            let mut client = TapClient::new(self.connect(proxy).await?);
            Ok::<_, Lost>(client.observe(self.wanted.clone()).await.map_err(Box::new)?.into_inner())
        };
        let mut told = timeout(CONNECT, began).await.map_err(|_| Lost::Late)??;
        while let Some(message) = told.message().await.map_err(Box::new)? {
            out.dropped.fetch_add(message.dropped, Relaxed);
            for request in self.hub.with_index(|index| named(message, proxy, index)) {
                if self.from.is_empty() || request.from.is_called(&self.from) {
                    out.tell(Line::Request(Box::new(request)));
                }
            }
        }
        Err(Lost::Ended)
    }

    async fn connect(&self, proxy: &Proxy) -> Result<Channel, Lost> {
        let (tls, address) = (self.authority.client_to(&proxy.identity)?, proxy.address);
        let connector = tower::service_fn(move |_: Uri| {
            let tls = TlsConnector::from(tls.clone());
            async move {
                let io = TcpStream::connect(address).await?;
                let io = tls.connect(ServerName::IpAddress(address.ip().into()), io).await?;
                Ok::<_, io::Error>(TokioIo::new(io))
            }
        });
        let endpoint = Endpoint::from_static("http://weft-proxy")
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_with_connector(connector).await?)
    }
}

/// Where a call's lines go.
struct Out {
    lines: mpsc::Sender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Out {
    fn tell(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The reader's end.
struct Session {
    lines: mpsc::Receiver<Line>,
    dropped: Arc<AtomicU64>,
    beat: tokio::time::Interval,
    stop: CancellationToken,
    _calls: JoinSet<()>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    /// The next lines. None: it is over.
    async fn next(&mut self) -> Option<Bytes> {
        let mut lines = Vec::new();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            count = self.lines.recv_many(&mut lines, QUEUE) => if count == 0 { return None },
            _ = self.beat.tick() => {}
        }
        let dropped = self.dropped.swap(0, Relaxed);
        lines.extend((dropped > 0).then_some(Line::Dropped { requests: dropped }));
        // Strings and numbers only: this cannot go wrong.
        let mut text: String =
            lines.iter().map(|line| serde_json::to_string(line).unwrap_or_default() + "\n").collect();
        if text.is_empty() {
            text.push('\n');
        }
        Some(text.into())
    }
}

/// A proxy's message, with the names of both ends of each request.
fn named(message: ObserveResponse, proxy: &Proxy, index: &Index) -> Vec<Tapped> {
    message.requests.into_iter().map(|request| tapped(request, proxy, index)).collect()
}

fn tapped(request: TappedRequest, proxy: &Proxy, index: &Index) -> Tapped {
    let inbound = request.direction() == TapDirection::Inbound;
    let (mut from, mut to) = if inbound {
        (party(&request.client, index), party(&proxy.address.ip().to_string(), index))
    } else {
        (party(&proxy.address.ip().to_string(), index), party(&request.server, index))
    };
    if inbound {
        from.identity = request.identity;
        to.identity = proxy.identity.to_string();
    } else {
        from.identity = proxy.identity.to_string();
        to.identity = request.identity;
    }
    Tapped {
        time: rfc3339(request.began_unix_us),
        direction: if inbound { "inbound" } else { "outbound" }.to_owned(),
        from,
        to,
        service: request.service,
        route: request.route,
        method: request.method,
        path: request.path,
        status: (request.status != 0).then_some(request.status),
        grpc_status: request.grpc_status,
        error: request.error,
        duration_seconds: Duration::from_micros(request.duration_us).as_secs_f64(),
    }
}

/// Who has this address, which may have a port.
fn party(address: &str, index: &Index) -> Party {
    let ip = address.parse().map(|address: SocketAddr| address.ip()).or_else(|_| address.parse::<IpAddr>());
    let pod = ip.ok().and_then(|ip| index.pods_at(ip).next());
    Party {
        pod: pod.map(|pod| pod.name.to_string()).unwrap_or_default(),
        workload: pod.map(|pod| pod.workload.clone()).unwrap_or_default(),
        identity: String::new(),
        address: address.to_owned(),
    }
}

fn rfc3339(unix_us: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_us) * 1000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
