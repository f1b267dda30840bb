//! gRPC to the control plane by hand, over the h2 crate: two thousand clients of a library would be what is measured.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request};
use prost::Message;
use rustls_pki_types::ServerName;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use weft_certs::{Leaf, SpiffeId, TrustBundle, control_client};

use super::cluster::TRUST_DOMAIN;
use crate::thread;

/// What hyper, and so a real proxy, takes before it must be read.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;
/// The compression flag and the length.
const PREFIX: usize = 5;

/// Where the control plane is, and how it is known.
#[derive(Clone, Debug)]
pub struct Plane {
    pub address: SocketAddr,
    pub bundle: TrustBundle,
}

/// A connection; it ends with this value.
pub struct Connection {
    calls: SendRequest<Bytes>,
    running: JoinHandle<()>,
}

/// Both directions of one call.
pub struct Call {
    send: SendStream<Bytes>,
    receive: RecvStream,
    unread: BytesMut,
}

impl Plane {
    /// Connects, mutually where there is a leaf.
    pub async fn connect(&self, leaf: Option<&Leaf>) -> anyhow::Result<Connection> {
        let expected = SpiffeId::control_plane(TRUST_DOMAIN, "weft")?;
        let tls = TlsConnector::from(control_client(&self.bundle, leaf, &expected)?);
        let io = thread::connect(self.address).await?;
        let name = ServerName::IpAddress(self.address.ip().into());
        let io = tls.connect(name, io).await.context("shake hands")?;
        let mut http = h2::client::Builder::new();
        http.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let (calls, connection) = http.handshake(io).await.context("begin HTTP/2")?;
        let running = tokio::task::spawn_local(async move {
            // Its end shows in every call.
            let _ = connection.await;
        });
        Ok(Connection { calls, running })
    }
}

impl Connection {
    /// Makes a call with one message, to its one answer.
    pub async fn ask<M: Message + Default>(&self, path: &str, question: &impl Message) -> anyhow::Result<M> {
        let mut call = self.begin(path, question, true).await?;
        let answers = call.receive().await?;
        let answer = answers.into_iter().next().context("an empty answer")?;
        M::decode(answer).context("read the answer")
    }

    /// Begins a stream with its first message.
    pub async fn stream(&self, path: &str, first: &impl Message) -> anyhow::Result<Call> {
        self.begin(path, first, false).await
    }

    async fn begin(&self, path: &str, first: &impl Message, is_last: bool) -> anyhow::Result<Call> {
        let request = Request::post(format!("http://control-plane{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut calls = self.calls.clone().ready().await.context("wait for a stream")?;
        let (answer, mut send) = calls.send_request(request, false).context("send a call")?;
        send.send_data(framed(first), is_last).context("send a message")?;
        let answer = answer.await.context("wait for an answer")?;
        ensure!(answer.status() == 200, "the answer was {}", answer.status());
        check(answer.headers())?;
        Ok(Call { send, receive: answer.into_body(), unread: BytesMut::new() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Call {
    /// Sends a message; h2 keeps what the window does not take yet.
    pub fn send(&mut self, message: &impl Message) -> anyhow::Result<()> {
        self.send.send_data(framed(message), false).context("send a message")
    }

    /// Messages, at least one, as many as have come. Not cancel-safe.
    pub async fn receive(&mut self) -> anyhow::Result<Vec<Bytes>> {
        let mut messages = Vec::new();
        loop {
            while let Some(message) = self.whole()? {
                messages.push(message);
            }
            if !messages.is_empty() {
                return Ok(messages);
            }
            let Some(bytes) = self.receive.data().await else { return self.ended().await };
            let bytes = bytes.context("read the stream")?;
            self.receive.flow_control().release_capacity(bytes.len())?;
            self.unread.extend_from_slice(&bytes);
        }
    }

    fn whole(&mut self) -> anyhow::Result<Option<Bytes>> {
        let Some(&[flag, a, b, c, d]) = self.unread.first_chunk::<PREFIX>() else { return Ok(None) };
        ensure!(flag == 0, "a message is compressed");
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if self.unread.len() < PREFIX + length {
            return Ok(None);
        }
        self.unread.advance(PREFIX);
        Ok(Some(self.unread.split_to(length).freeze()))
    }

    async fn ended<T>(&mut self) -> anyhow::Result<T> {
        let trailers = self.receive.trailers().await.context("read trailers")?.unwrap_or_default();
        check(&trailers)?;
        bail!("the control plane ended the call")
    }
}

fn check(headers: &HeaderMap) -> anyhow::Result<()> {
    let Some(status) = headers.get("grpc-status") else { return Ok(()) };
    ensure!(status == "0", "status {status:?}: {:?}", headers.get("grpc-message"));
    Ok(())
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}
