//! Passing a request on to a service, and its answer back.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::caller;
use crate::client::Client;
use crate::problem::Problem;
use crate::trace::TraceContext;

/// What belongs to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What ends at the edge: the proof of who calls, and what the client of the next hop writes itself.
const OURS: [HeaderName; 4] = [header::AUTHORIZATION, header::CONTENT_LENGTH, header::COOKIE, header::HOST];

/// Sends `request` to `service` in the name of `user`. Its body is read first, 2 MiB at most; the answer's is passed on
/// as it comes.
///
/// # Errors
/// A body that is too long, and a service that does not answer.
pub async fn forward(service: &Client, user: Option<i64>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = end_to_end(&parts.headers);
    OURS.iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(caller::HEADER);
    if let Some(user) = user {
        headers.insert(caller::HEADER, HeaderValue::from(user));
    }
    let bytes = Bytes::from_request(Request::new(body), &()).await;
    let bytes = bytes.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let sent = service.request(parts.method, path)?.headers(headers).body(bytes);
    // The trace is among the headers.
    let answer = service.send(sent, &TraceContext::default()).await?;
    let (status, headers) = (answer.status(), end_to_end(answer.headers()));
    let mut passed = Response::new(Body::from_stream(answer.bytes_stream()));
    *passed.status_mut() = status;
    *passed.headers_mut() = headers;
    Ok(passed)
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<_> = named.flat_map(|value| value.split(',')).map(|name| name.trim().to_lowercase()).collect();
    let stays = |name: &HeaderName| {
        !HOP_BY_HOP.contains(name) && name != "keep-alive" && !named.iter().any(|other| name == other.as_str())
    };
    headers.iter().filter(|(name, _)| stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
