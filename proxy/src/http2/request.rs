//! Requests: pseudo-header fields to method, target and Host, and back.

use ::http::{
    Method, Request, Uri,
    header::{CONTENT_LENGTH, HOST},
    uri,
};
use h2::ext::Protocol;

use super::{Parsed, check_size, content_length, fields, put_content_length, put_lines};
use crate::http::{
    Flaw, Framing, HeadError, Limits, Prefix, RequestHead, RequestPrefix, Scheme, Version, check_host, check_target,
    eq, flag, origin, put_field, valid_name,
};

/// Appends the HEAD payload of a request that an HTTP/2 client sent. `end`: nothing follows its head.
///
/// `:authority` becomes the first line, Host; `:path` is the target. With CONNECT `:authority` is the target, unless
/// `:protocol` says what is spoken there (RFC 8441): that becomes an Upgrade line.
///
/// # Errors
/// The request is malformed (RFC 9113 section 8.1.1), or too large. `out` is as it was.
pub fn request_to_head(
    request: &Request<()>,
    end: bool,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Framing, HeadError> {
    let start = out.len();
    let framing = to_head(request, end, limits, out);
    if framing.is_err() {
        out.truncate(start);
    }
    framing.map_err(HeadError::Request)
}

/// Makes the request for an HTTP/2 app. `add`: fields of our own, after `weft-` fields of the payload are gone.
///
/// # Errors
/// The payload is malformed, or says what HTTP/2 cannot.
pub fn head_to_request(payload: &[u8], add: &[(&str, &[u8])]) -> Result<Request<()>, HeadError> {
    to_request(payload, add).map_err(HeadError::Request)
}

fn to_head(request: &Request<()>, end: bool, limits: &Limits, out: &mut Vec<u8>) -> Result<Framing, Flaw> {
    let (method, headers) = (request.method(), request.headers());
    let tunnel = method == Method::CONNECT;
    let protocol = request.extensions().get::<Protocol>();
    let framing = match (content_length(headers)?, end) {
        (Some(length), true) if length > 0 => return Err(Flaw::Framing),
        (Some(length), _) => Framing::Length(length),
        (None, true) => Framing::None,
        (None, false) => Framing::Chunked,
    };
    if tunnel && headers.contains_key(CONTENT_LENGTH) {
        return Err(Flaw::Framing);
    }
    // What a tunnel carries is no body.
    let framing = if tunnel { Framing::None } else { framing };
    let scheme = match request.uri().scheme_str() {
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        // CONNECT has none; and the `h2` crate drops it from a request with Host in place of `:authority`.
        None => None,
        Some(_) => return Err(Flaw::Scheme),
    };
    let target = match request.uri().authority() {
        Some(authority) if tunnel && protocol.is_none() => authority.as_str(),
        _ => request.uri().path_and_query().map_or("", uri::PathAndQuery::as_str),
    };
    check_form(method.as_str().as_bytes(), target.as_bytes(), protocol.is_some())?;
    let waits = framing.has_body() && headers.get("expect").is_some_and(|value| eq(value.as_bytes(), b"100-continue"));
    let flags = if tunnel { flag::UPGRADE } else { 0 } | if waits { flag::EXPECT_CONTINUE } else { 0 };
    let prefix = RequestPrefix {
        prefix: Prefix { version: Version::Http2, framing, flags },
        scheme,
        method: u8::try_from(method.as_str().len()).map_err(|_| Flaw::Method)?,
        target: u16::try_from(target.len()).map_err(|_| Flaw::TooLarge)?,
    };
    let start = out.len();
    out.extend_from_slice(&prefix.bytes());
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(target.as_bytes());
    put_field(b"host", host(request)?, out);
    put_lines(headers, out)?;
    if let Some(protocol) = protocol {
        put_field(b"upgrade", protocol_name(protocol.as_str().as_bytes())?, out);
    }
    let fields = headers.len() + usize::from(!headers.contains_key(HOST)) + usize::from(protocol.is_some());
    check_size(fields, out.len() - start, limits)?;
    Ok(framing)
}

/// `:authority`, or Host where there is none. The two must not differ.
fn host(request: &Request<()>) -> Result<&[u8], Flaw> {
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = request.headers().get_all(HOST).iter().map(|value| value.as_bytes());
    let host = match (authority, hosts.next()) {
        (Some(authority), Some(host)) if !eq(authority, host) => return Err(Flaw::Host),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) => return Err(Flaw::Host),
    };
    if hosts.next().is_some() {
        return Err(Flaw::Host);
    }
    check_host(host)?;
    Ok(host)
}

/// With `:protocol`, the target of CONNECT is a path as that of any method (RFC 8441 section 4).
fn check_form(method: &[u8], target: &[u8], has_protocol: bool) -> Result<Option<Scheme>, Flaw> {
    if has_protocol && !target.starts_with(b"/") {
        return Err(Flaw::Target);
    }
    check_target(if has_protocol { b"GET" } else { method }, target)
}

/// A name of a protocol is a token. One connection's own upgrades are none of a stream's.
fn protocol_name(name: &[u8]) -> Result<&[u8], Flaw> {
    if valid_name(name) && !eq(name, b"h2c") { Ok(name) } else { Err(Flaw::Upgrade) }
}

fn to_request(payload: &[u8], add: &[(&str, &[u8])]) -> Result<Request<()>, Flaw> {
    let head = RequestHead::parse(payload)?;
    let tunnel = head.method() == b"CONNECT";
    let Parsed { mut headers, host, upgrade } = fields(head.lines(), None)?;
    if tunnel != head.upgrade() || upgrade.is_some() && !tunnel || tunnel && head.framing() != Framing::None {
        return Err(Flaw::Upgrade);
    }
    let named = check_form(head.method(), head.target(), upgrade.is_some())?;
    let host = host.ok_or(Flaw::Host)?;
    check_host(host.as_bytes())?;
    put_content_length(head.framing(), &mut headers);
    for (name, value) in add {
        let name = ::http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| Flaw::Field)?;
        headers.append(name, ::http::HeaderValue::from_bytes(value).map_err(|_| Flaw::Field)?);
    }
    let scheme = match head.scheme().or(named) {
        None | Some(Scheme::Http) => uri::Scheme::HTTP,
        Some(Scheme::Https) => uri::Scheme::HTTPS,
    };
    let mut request = Request::new(());
    let mut parts = uri::Parts::default();
    if tunnel && upgrade.is_none() {
        parts.authority = Some(uri::Authority::try_from(head.target()).map_err(|_| Flaw::Target)?);
    } else {
        parts.scheme = Some(scheme);
        parts.authority = Some(uri::Authority::try_from(host.as_bytes()).map_err(|_| Flaw::Host)?);
        parts.path_and_query = Some(path_and_query(origin(head.target()))?);
    }
    if let Some(upgrade) = &upgrade {
        let name = std::str::from_utf8(protocol_name(upgrade.as_bytes())?).map_err(|_| Flaw::Upgrade)?;
        request.extensions_mut().insert(Protocol::from(name));
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Flaw::Target)?;
    *request.method_mut() = Method::from_bytes(head.method()).map_err(|_| Flaw::Method)?;
    *request.version_mut() = ::http::Version::HTTP_2;
    *request.headers_mut() = headers;
    Ok(request)
}

fn path_and_query(origin: &[u8]) -> Result<uri::PathAndQuery, Flaw> {
    let path = if origin.is_empty() { b"/" } else { origin };
    uri::PathAndQuery::try_from(path).map_err(|_| Flaw::Target)
}
