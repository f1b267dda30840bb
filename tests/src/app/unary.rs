//! gRPC's unary call, by hand: both ends of one message each way, and what the kubelet's probe asks for.

use std::{convert::Infallible, future::ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE, request::Parts};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

/// A message's flag (not compressed) and length.
const PREFIX: usize = 5;
/// A HealthCheckResponse whose status is SERVING.
const SERVING: &[u8] = &[0x08, 0x01];

/// Whether a request is a call.
pub fn is_call(parts: &Parts) -> bool {
    parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a health check with SERVING, and any other call with its own message.
pub fn answer(path: &str, body: &[u8]) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let message = if path == "/grpc.health.v1.Health/Check" { SERVING } else { body.get(PREFIX..).unwrap_or_default() };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame(message)).with_trailers(ready(Some(Ok(trailers)))).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A call with one message.
pub fn call(target: &str, id: &str) -> http::Result<Request<Full<Bytes>>> {
    let request = Request::post(format!("http://{target}/weft.test.App/Echo"));
    let request = request.header(CONTENT_TYPE, "application/grpc").header("te", "trailers").header("x-id", id);
    request.body(Full::new(frame(id.as_bytes())))
}

/// Fails unless the status is OK, wherever it stands, and the answer is the one to this call.
pub fn check(headers: &HeaderMap, trailers: Option<&HeaderMap>, body: &[u8], id: &str) -> anyhow::Result<()> {
    let status = |map: &HeaderMap| map.get("grpc-status").cloned();
    let status = trailers.and_then(status).or_else(|| status(headers));
    anyhow::ensure!(status.as_ref().is_some_and(|status| status == "0"), "grpc-status {status:?}, {headers:?}");
    anyhow::ensure!(body.get(PREFIX..) == Some(id.as_bytes()), "the answer to another call: {body:?}");
    Ok(())
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}
