//! Two proxies of one mesh, and a connection between them.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use rustls::{ClientConfig, ServerConfig};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf},
    sync::Notify,
    task::{JoinHandle, LocalSet, spawn_local},
};
use weft_certs::{CertificateRequest, Issuer, KeyPair, Leaf, MeshTls, Root, SpiffeId, TrustBundle, Validity};

use crate::{
    address::EndpointAddr,
    mesh::{Incoming, Limits, Link, LinkEnd, Open, Protocol, Stream},
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const OPEN: Open =
    Open { target_port: 8080, protocol: Protocol::Http1, deadline: None, retried: false, target: None, trace: None };

pub(super) struct Mesh {
    issuer: Issuer,
    bundle: TrustBundle,
}

impl Mesh {
    pub(super) fn new() -> Self {
        let root = Root::generate(lasting(24 * 3600)).unwrap();
        let issuer = Issuer::generate(&root, lasting(24 * 3600)).unwrap();
        let bundle = TrustBundle::new([root.certificate().clone()]).unwrap();
        Self { issuer, bundle }
    }

    pub(super) fn tls(&self, service_account: &str, seconds: u64) -> MeshTls {
        self.tls_trusting(service_account, seconds, self)
    }

    /// A leaf of this mesh's, whose holder believes another.
    pub(super) fn tls_trusting(&self, service_account: &str, seconds: u64, trusted: &Self) -> MeshTls {
        let (key, id) = (KeyPair::generate().unwrap(), id(service_account));
        let request = CertificateRequest::new(&key, &id).unwrap();
        let chain = self.issuer.issue(request.der(), &id, lasting(seconds)).unwrap();
        MeshTls::new(&Leaf::new(chain, key).unwrap(), &trusted.bundle).unwrap()
    }
}

fn lasting(seconds: u64) -> Validity {
    Validity::lasting(SystemTime::now(), SECOND * seconds as u32)
}

pub(super) fn id(service_account: &str) -> SpiffeId {
    SpiffeId::new("mesh.local", "shop", service_account).unwrap()
}

pub(super) fn endpoint() -> EndpointAddr {
    EndpointAddr(SocketAddr::from((Ipv4Addr::LOCALHOST, 4143)))
}

/// The two configs of a connection from orders to users.
pub(super) fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let mesh = Mesh::new();
    (mesh.tls("orders", 3600).client_for(&id("users")), mesh.tls("users", 3600).server())
}

/// Streams that were opened, for whoever waits for them.
#[derive(Clone, Default)]
pub(super) struct Inbound(Rc<(RefCell<VecDeque<Incoming>>, Notify)>);

impl Inbound {
    pub(super) fn push(&self, incoming: Incoming) {
        self.0.0.borrow_mut().push_back(incoming);
        self.0.1.notify_one();
    }

    pub(super) async fn next(&self) -> Incoming {
        loop {
            let first = self.0.0.borrow_mut().pop_front();
            match first {
                Some(incoming) => return incoming,
                None => self.0.1.notified().await,
            }
        }
    }
}

pub(super) struct Pair {
    pub(super) client: Rc<Link>,
    pub(super) server: Rc<Link>,
    pub(super) inbound: Inbound,
    pub(super) client_end: JoinHandle<LinkEnd>,
    pub(super) server_end: JoinHandle<LinkEnd>,
}

impl Pair {
    pub(super) fn new(limits: Limits) -> Self {
        Self::over(configs(), limits, tokio::io::duplex(1 << 20))
    }

    pub(super) fn over(
        (client, server): (Arc<ClientConfig>, Arc<ServerConfig>),
        limits: Limits,
        (near, far): (DuplexStream, DuplexStream),
    ) -> Self {
        let client = Link::client(client, endpoint(), limits);
        let server = Link::server(server, limits);
        let inbound = Inbound::default();
        let pushed = inbound.clone();
        let client_end = spawn_local(client.clone().run_client(near));
        let server_end = spawn_local(server.clone().run_server(far, move |incoming| pushed.push(incoming)));
        Self { client, server, inbound, client_end, server_end }
    }

    /// A stream, from both sides.
    pub(super) async fn stream(&self) -> (Stream, Stream) {
        let near = self.client.open(&OPEN).unwrap();
        (near, self.inbound.next().await.stream)
    }
}

/// A connection that can be frozen: then nothing comes through any more, and nobody is told.
pub(super) fn wire() -> (DuplexStream, DuplexStream, Rc<Cell<bool>>) {
    let (near, near_end) = tokio::io::duplex(1 << 16);
    let (far, far_end) = tokio::io::duplex(1 << 16);
    let frozen = Rc::new(Cell::new(false));
    let ((near_read, near_write), (far_read, far_write)) = (tokio::io::split(near_end), tokio::io::split(far_end));
    spawn_local(copy(near_read, far_write, frozen.clone()));
    spawn_local(copy(far_read, near_write, frozen.clone()));
    (near, far, frozen)
}

async fn copy(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, frozen: Rc<Cell<bool>>) {
    let mut bytes = vec![0; 4096];
    loop {
        let read = from.read(&mut bytes).await.unwrap();
        if frozen.get() || read == 0 {
            return std::future::pending().await;
        }
        to.write_all(&bytes[..read]).await.unwrap();
    }
}

/// A connection's end that counts the writes.
pub(super) struct Counted {
    pub(super) io: DuplexStream,
    pub(super) writes: Rc<Cell<usize>>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

pub(super) async fn local<T>(body: impl AsyncFnOnce() -> T) -> T {
    LocalSet::new().run_until(body()).await
}

/// Everything that comes until the peer's END.
pub(super) async fn read_all(stream: &Stream) -> Vec<u8> {
    let (mut bytes, mut over) = (Vec::new(), false);
    while !over {
        let mut received = stream.received().await.unwrap();
        let before = bytes.len();
        while let Some(event) = received.next() {
            over |= event.end();
            if let crate::mesh::Event::Data { bytes: data, .. } = event {
                bytes.extend_from_slice(data);
            }
        }
        stream.taken(bytes.len() - before);
    }
    bytes
}

/// Sends all of `bytes`, and the end.
pub(super) async fn write_all(stream: &Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let granted = stream.credit(bytes.len()).await.unwrap();
        let (now, rest) = bytes.split_at(granted);
        stream.data(now, rest.is_empty());
        bytes = rest;
    }
}
