//! HTTP/2 apps: the types of the `h2` crate to and from the payloads of the mesh.
//!
//! The `h2` crate speaks the protocol; here is only what a message says. Fields of one connection are refused in both
//! directions (RFC 9113 section 8.2.2), `weft-` fields are dropped. That DATA adds up to Content-Length is checked by whoever
//! moves the DATA, by the [`Framing`](crate::http::Framing).

mod request;
mod response;
mod trailers;

#[cfg(test)]
mod tests;

pub use request::{head_to_request, request_to_head};
pub use response::{head_to_response, response_to_head};
pub use trailers::{lines_to_trailers, trailers_to_lines};

use ::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, HOST, TE},
};

use crate::http::{Flaw, Framing, Limits, checked, eq, is_connection_specific, is_of_weft, put_field};

/// Appends the fields as lines, without Host and Content-Length.
fn put_lines(headers: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Flaw> {
    for (name, value) in headers {
        let (text, value) = (name.as_str().as_bytes(), value.as_bytes());
        if is_misplaced(text) || name == TE && value != b"trailers" || value.trim_ascii().len() != value.len() {
            return Err(Flaw::Field);
        }
        if name != CONTENT_LENGTH && name != HOST && !is_of_weft(text) {
            put_field(text, value, out);
        }
    }
    Ok(())
}

/// Holds a message that became `payload` bytes against the limits.
fn check_size(fields: usize, payload: usize, limits: &Limits) -> Result<(), Flaw> {
    if fields > limits.fields || payload > limits.head_bytes { Err(Flaw::TooLarge) } else { Ok(()) }
}

/// Whether HTTP/2 has no place for a field of that name.
fn is_misplaced(name: &[u8]) -> bool {
    is_connection_specific(name) || eq(name, b"upgrade") || eq(name, b"transfer-encoding")
}

/// What Content-Length says.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Flaw> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let number = text.and_then(|text| text.parse::<i64>().ok()).ok_or(Flaw::ContentLength)?;
        if length.replace(number as u64).is_some_and(|before| before != number as u64) {
            return Err(Flaw::ContentLength);
        }
    }
    Ok(length)
}

/// The fields of a payload.
struct Parsed {
    headers: HeaderMap,
    /// Host, apart from them.
    host: Option<HeaderValue>,
    /// Upgrade, apart from them: what HTTP/2 calls `:protocol`.
    upgrade: Option<HeaderValue>,
}

/// Turns a payload's lines into fields, `weft-` fields left out but `kept`.
fn fields(lines: &[u8], kept: Option<&[u8]>) -> Result<Parsed, Flaw> {
    let (mut headers, mut host, mut upgrade) = (HeaderMap::with_capacity(16), None, None);
    for field in checked(lines) {
        let field = field?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| Flaw::Field)?;
        if eq(field.name, b"upgrade") {
            if upgrade.replace(value).is_some() {
                return Err(Flaw::Upgrade);
            }
            continue;
        }
        if is_misplaced(field.name) || eq(field.name, b"content-length") {
            return Err(Flaw::Field);
        }
        if is_of_weft(field.name) && !kept.is_some_and(|kept| eq(field.name, kept)) {
            continue;
        }
        if eq(field.name, b"host") {
            if host.replace(value).is_some() {
                return Err(Flaw::Host);
            }
            continue;
        }
        let name = HeaderName::from_bytes(field.name).map_err(|_| Flaw::Field)?;
        if name == TE && value != "trailers" {
            return Err(Flaw::Field);
        }
        if headers.len() >= crate::http::MAX_FIELDS {
            return Err(Flaw::TooLarge);
        }
        headers.append(name, value);
    }
    Ok(Parsed { headers, host, upgrade })
}

fn put_content_length(framing: Framing, headers: &mut HeaderMap) {
    if let Framing::Length(length) = framing {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
