//! A control plane in the process: what it hears and says is up to the test. Present, slow or gone.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    io::DuplexStream,
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use weft_api::pb::{
    self,
    discovery_server::{Discovery, DiscoveryServer},
    watch_request::Message as Said,
    watch_response::Message,
};

use super::*;

/// A mesh of one proxy's Watch client and a control plane.
pub(super) struct Plane {
    pub(super) directory: Arc<Directory>,
    pub(super) reports: watch::Sender<Option<pb::Report>>,
    /// Connections are taken.
    up: Arc<AtomicBool>,
    streams: mpsc::Receiver<Stream>,
    tasks: JoinSet<()>,
}

/// One Watch stream, as the control plane sees it.
pub(super) struct Stream {
    requests: Streaming<pb::WatchRequest>,
    responses: mpsc::Sender<Result<pb::WatchResponse, Status>>,
}

impl Plane {
    /// Starts the client; the control plane takes connections if it is `up`.
    pub(super) fn start(up: bool) -> Self {
        let picture = Picture::new(Settings::default());
        let directory = picture.directory();
        let (reports, report) = watch::channel(None);
        let watch = Watch::new(picture, pb::Workload::default(), report, WatchSettings::default());
        let (opened, streams) = mpsc::channel(8);
        let (dialled, incoming) = mpsc::channel(8);
        let up = Arc::new(AtomicBool::new(up));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(incoming, Service { opened }));
        let reachable = Arc::clone(&up);
        let connect = move || connect(dialled.clone(), Arc::clone(&reachable));
        tasks.spawn(async move { watch.run(connect, CancellationToken::new()).await.unwrap() });
        Self { directory, reports, up, streams, tasks }
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Relaxed);
    }

    /// The next stream that the client opens, and its first word.
    pub(super) async fn stream(&mut self) -> (Stream, pb::Hello) {
        let mut stream = timeout(Duration::from_secs(60), self.streams.recv()).await.unwrap().unwrap();
        let Said::Hello(hello) = stream.heard().await else { panic!("no Hello") };
        (stream, hello)
    }

    /// Who waits for an address, on a task of its own.
    pub(super) fn resolve(&mut self, address: &str) -> tokio::sync::oneshot::Receiver<Result<Target, DiscoverError>> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (directory, to) = (Arc::clone(&self.directory), to(address));
        self.tasks.spawn(async move {
            let _nobody_waits = sender.send(directory.resolve(to, Duration::from_secs(3)).await);
        });
        receiver
    }
}

impl Stream {
    /// The next thing that the client says.
    pub(super) async fn heard(&mut self) -> Said {
        let next = timeout(Duration::from_secs(60), self.requests.message()).await.unwrap();
        next.unwrap().unwrap().message.unwrap()
    }

    /// Says all this at version 7, so that it comes at once.
    pub(super) async fn say(&self, resources: impl IntoIterator<Item = (Key, Resource)>) {
        for (key, resource) in resources {
            let content = Some(resource.into_content());
            self.send(Message::Resource(pb::Resource { key: Some((&key).into()), version: 7, content })).await;
        }
    }

    pub(super) async fn synced(&self) {
        self.send(Message::Synced(pb::Synced {})).await;
    }

    pub(super) async fn removed(&self, key: &Key) {
        self.send(Message::Removed(pb::Removed { key: Some(key.into()) })).await;
    }

    /// Hears until so many keys are subscribed or applied; returns them by what was said of them.
    pub(super) async fn keys(&mut self, number: usize) -> BTreeMap<&'static str, Vec<String>> {
        let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let name = |key: pb::ResourceKey| format!("{} {}", key.kind().as_str_name(), key.name);
        while keys.values().map(Vec::len).sum::<usize>() < number {
            let (word, named): (_, Vec<_>) = match self.heard().await {
                Said::Subscribe(said) => ("subscribe", said.keys),
                Said::Unsubscribe(said) => ("unsubscribe", said.keys),
                Said::Applied(said) => ("applied", said.versions.into_iter().filter_map(|one| one.key).collect()),
                other => panic!("{other:?}"),
            };
            keys.entry(word).or_default().extend(named.into_iter().map(name));
        }
        keys.values_mut().for_each(|named| named.sort());
        keys
    }

    async fn send(&self, message: Message) {
        self.responses.send(Ok(pb::WatchResponse { message: Some(message) })).await.unwrap();
    }
}

struct Service {
    opened: mpsc::Sender<Stream>,
}

#[tonic::async_trait]
impl Discovery for Service {
    type WatchStream = ReceiverStream<Result<pb::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (responses, receiver) = mpsc::channel(64);
        let stream = Stream { requests: request.into_inner(), responses };
        self.opened.send(stream).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn serve(mut incoming: mpsc::Receiver<DuplexStream>, service: Service) {
    let service = TowerToHyperService::new(DiscoveryServer::new(service));
    let mut connections = JoinSet::new();
    while let Some(io) = incoming.recv().await {
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service.clone());
        connections.spawn(async move {
            let _the_client_may_go = connection.await;
        });
    }
}

async fn connect(dialled: mpsc::Sender<DuplexStream>, up: Arc<AtomicBool>) -> Result<Channel, tonic::transport::Error> {
    let connector = tower::service_fn(move |_| {
        let (dialled, up) = (dialled.clone(), Arc::clone(&up));
        async move {
            if !up.load(Relaxed) {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            dialled.send(theirs).await.map_err(io::Error::other)?;
            Ok(TokioIo::new(ours))
        }
    });
    Endpoint::from_static("http://control-plane").connect_with_connector(connector).await
}
