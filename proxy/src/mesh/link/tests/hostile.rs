//! Peers with a valid certificate that break the rules: the link ends with the name of the rule, and nothing panics.

use std::sync::Arc;

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::{JoinHandle, spawn_local},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::fixture::{Inbound, OPEN, configs, endpoint, local};
use crate::mesh::{
    Limits, Link, LinkEnd, LinkError, ProtocolError,
    frames::{self, Flags, Frame, Kind},
};

/// A client that writes whatever it likes, and the server that it is connected to.
struct Hostile {
    io: TlsStream<DuplexStream>,
    inbound: Inbound,
    server_end: JoinHandle<LinkEnd>,
}

impl Hostile {
    async fn connect() -> Self {
        let (client, server) = configs();
        let (near, far) = tokio::io::duplex(1 << 20);
        let server = Link::server(server, Limits::default());
        let inbound = Inbound::default();
        let pushed = inbound.clone();
        let server_end = spawn_local(server.run_server(far, move |incoming| pushed.push(incoming)));
        Self { io: handshake(client, near).await, inbound, server_end }
    }

    async fn send(&mut self, kind: Kind, flags: Flags, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        Frame { kind, flags, stream, payload }.put(&mut bytes);
        self.io.write_all(&bytes).await.unwrap();
    }

    async fn open(&mut self, stream: u32) {
        let mut payload = Vec::new();
        OPEN.put(&mut payload);
        self.send(Kind::OPEN, Flags::NONE, stream, &payload).await;
    }

    /// What the server had for us until it closed: its last word is GOAWAY.
    async fn ends_with(mut self, error: ProtocolError) {
        let mut said = Vec::new();
        self.io.flush().await.unwrap();
        let _ = self.io.read_to_end(&mut said).await; // Weft closes without TLS' own close.
        drop(self.io);
        let end = self.server_end.await.unwrap();
        assert!(matches!(end.cause, LinkError::Protocol(cause) if cause == error), "{:?}", end.cause);
        let goaway = &said[said.len() - frames::HEADER - 4..];
        assert_eq!(frames::first(goaway).unwrap().unwrap().kind, Kind::GOAWAY);
    }
}

async fn handshake(client: Arc<ClientConfig>, io: DuplexStream) -> TlsStream<DuplexStream> {
    let name = ServerName::IpAddress(endpoint().0.ip().into());
    TlsConnector::from(client).connect(name, io).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn more_data_than_credit_ends_the_link() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        hostile.open(1).await;
        for _ in 0..3 {
            hostile.send(Kind::DATA, Flags::NONE, 1, &[0; 100 << 10]).await;
        }
        hostile.ends_with(ProtocolError::OverCredit(1)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_ends_the_link_before_it_has_come() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        hostile.io.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.unwrap();
        hostile.ends_with(frames::TooLong { length: 0x7fff_ffff }.into()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_after_the_end_ends_the_link() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        hostile.open(1).await;
        hostile.send(Kind::HEAD, Flags::END, 1, b"request").await;
        hostile.send(Kind::HEAD, Flags::NONE, 1, b"another").await;
        hostile.ends_with(ProtocolError::EndTwice { kind: 4, stream: 1 }).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_used_ends_the_link() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        hostile.open(5).await;
        hostile.open(4).await;
        hostile.ends_with(ProtocolError::StaleId(4)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_ends_the_link() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        hostile.open(1).await;
        hostile.send(Kind::ACCEPT, Flags::NONE, 1, b"").await;
        hostile.ends_with(ProtocolError::Direction { kind: 2, stream: 1 }).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_opened_and_reset_at_once_do_not_pile_up() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        for stream in 1..10_000 {
            hostile.open(stream).await;
            hostile.send(Kind::RESET, Flags::NONE, stream, &[0, 1]).await;
        }
        hostile.io.flush().await.unwrap();
        let mut tasks = Vec::new();
        for _ in 0..Limits::default().streams {
            tasks.push(hostile.inbound.next().await);
        }
        let mut said = vec![0; 1 << 20];
        let read = hostile.io.read(&mut said).await.unwrap();
        assert_eq!(frames::first(&said[..read]).unwrap().unwrap().kind, Kind::REFUSE);
        assert!(!hostile.server_end.is_finished());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_given_up() {
    local(async || {
        let mut hostile = Hostile::connect().await;
        for stream in 1.. {
            hostile.open(stream).await;
            tokio::select! {
                incoming = hostile.inbound.next() => incoming.stream.head(&[0; 100 << 10], true), // It is not read.
                end = &mut hostile.server_end => return assert!(matches!(end.unwrap().cause, LinkError::Stalled)),
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_agreed_on_nothing_ends_before_it_is_heard() {
    local(async || {
        let (client, server) = configs();
        let (near, far) = tokio::io::duplex(1 << 20);
        let server_end = spawn_local(Link::server(server, Limits::default()).run_server(far, |_| panic!("opened")));
        let mut mute = (*client).clone();
        mute.alpn_protocols.clear();
        let mut io = handshake(Arc::new(mute), near).await;
        let _ = io.write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 1]).await;
        drop(io);
        let end = server_end.await.unwrap();
        assert!(matches!(end.cause, LinkError::Protocol(ProtocolError::Alpn)), "{:?}", end.cause);
    })
    .await;
}
