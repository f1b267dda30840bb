//! Unary gRPC calls by hand over the h2 crate.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};

use crate::thread;

/// A message of 32 bytes after the five of gRPC's prefix.
const MESSAGE: &[u8] = b"\x00\x00\x00\x00\x20a message of thirty-two bytes ok";

/// A handle on one HTTP/2 connection; clones share it.
#[derive(Clone)]
pub struct Client {
    calls: SendRequest<Bytes>,
    target: SocketAddr,
}

impl Client {
    pub async fn connect(target: SocketAddr) -> anyhow::Result<Self> {
        let connection = thread::connect(target).await?;
        let (calls, run) = h2::client::handshake(connection).await.context("begin HTTP/2")?;
        tokio::task::spawn_local(async move {
            // Its end shows in every call.
            let _ = run.await;
        });
        Ok(Self { calls, target })
    }

    /// For this handle; its siblings make their own.
    pub async fn reconnect(&mut self) -> anyhow::Result<()> {
        *self = Self::connect(self.target).await?;
        Ok(())
    }

    /// One call; the message must come back with status 0.
    pub async fn once(&mut self) -> anyhow::Result<()> {
        let request = Request::post("http://bench/bench.Echo/Say")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", "weft-bench")
            .body(())?;
        let mut calls = self.calls.clone().ready().await.context("wait for a stream")?;
        let (answer, mut body) = calls.send_request(request, false).context("send a call")?;
        body.send_data(Bytes::from_static(MESSAGE), true).context("send a message")?;
        let answer = answer.await.context("wait for an answer")?;
        ensure!(answer.status() == 200, "the answer was {}", answer.status());
        let head = answer.headers().clone();
        let mut body = answer.into_body();
        let mut length = 0;
        while let Some(bytes) = body.data().await {
            let bytes = bytes.context("read a message")?;
            length += bytes.len();
            body.flow_control().release_capacity(bytes.len())?;
        }
        let trailers = body.trailers().await.context("read trailers")?.unwrap_or(head);
        ensure!(status(&trailers) == Some("0"), "the call ended with {trailers:?}");
        ensure!(length == MESSAGE.len(), "{length} bytes came back");
        Ok(())
    }
}

fn status(trailers: &HeaderMap) -> Option<&str> {
    trailers.get("grpc-status")?.to_str().ok()
}
