//! gRPC by hand over the h2 crate: the message of a unary call comes back.

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpStream;

/// Serves one connection, each call in a task.
pub async fn serve(connection: TcpStream) -> anyhow::Result<()> {
    let mut calls = h2::server::Builder::new().max_concurrent_streams(1000).handshake(connection).await?;
    while let Some(call) = calls.accept().await {
        let (request, respond) = call?;
        tokio::task::spawn_local(async move {
            // The client sees the call reset, and counts it.
            let _ = answer(request, respond).await;
        });
    }
    Ok(())
}

async fn answer(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> anyhow::Result<()> {
    let message = collect(request.into_body()).await?;
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(message, false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Ok(stream.send_trailers(trailers)?)
}

/// The bytes of a small body.
pub async fn collect(mut body: h2::RecvStream) -> anyhow::Result<Bytes> {
    let mut all: Option<Bytes> = None;
    while let Some(bytes) = body.data().await {
        let bytes = bytes.context("read a message")?;
        body.flow_control().release_capacity(bytes.len())?;
        all = Some(match all {
            None => bytes,
            Some(before) => [before, bytes]
                .iter()
                .fold(BytesMut::new(), |mut sum, part| {
                    sum.extend_from_slice(part);
                    sum
                })
                .freeze(),
        });
    }
    Ok(all.unwrap_or_default())
}
