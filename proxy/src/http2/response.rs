//! Responses: status and fields, both ways.

use ::http::{Response, StatusCode};

use super::{Parsed, check_size, content_length, fields, put_content_length, put_lines};
use crate::http::{AnswerTo, Flaw, Framing, HeadError, Limits, Prefix, ResponseHead, ResponsePrefix, Version};

/// Appends the HEAD payload of a response that an HTTP/2 app gave. `end`: nothing follows its head.
///
/// Gives how the body that really follows is delimited.
///
/// # Errors
/// The response is malformed (RFC 9113 section 8.1.1) or too large. `out` is as it was.
pub fn response_to_head(
    response: &Response<()>,
    end: bool,
    answer_to: &AnswerTo,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Framing, HeadError> {
    let start = out.len();
    let framing = to_head(response, end, answer_to, limits, out);
    if framing.is_err() {
        out.truncate(start);
    }
    framing.map_err(HeadError::Response)
}

/// Makes the response for an HTTP/2 client. `from_peer_proxy`: a proxy made the payload or passed it on, so that its
/// `weft-proxy-error` stays.
///
/// # Errors
/// The payload is malformed, or says what HTTP/2 cannot.
pub fn head_to_response(payload: &[u8], from_peer_proxy: bool) -> Result<Response<()>, HeadError> {
    to_response(payload, from_peer_proxy).map_err(HeadError::Response)
}

fn to_head(
    response: &Response<()>,
    end: bool,
    answer_to: &AnswerTo,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Framing, Flaw> {
    let status = response.status().as_u16();
    if status == 101 {
        return Err(Flaw::Upgrade);
    }
    let declared = match content_length(response.headers())? {
        Some(_) if !answer_to.may_declare(status) => Framing::None,
        Some(length) if end && length > 0 && !answer_to.is_bodiless(status) => return Err(Flaw::Framing),
        Some(length) => Framing::Length(length),
        None if end || answer_to.is_bodiless(status) => Framing::None,
        None => Framing::Chunked,
    };
    let prefix = Prefix { version: Version::Http2, framing: declared, flags: 0 };
    let start = out.len();
    out.extend_from_slice(&ResponsePrefix { prefix, status, reason: 0 }.bytes());
    put_lines(response.headers(), out)?;
    check_size(response.headers().len(), out.len() - start, limits)?;
    Ok(if answer_to.is_bodiless(status) { Framing::None } else { declared })
}

fn to_response(payload: &[u8], from_peer_proxy: bool) -> Result<Response<()>, Flaw> {
    let head = ResponseHead::parse(payload)?;
    if head.status() == 101 || head.upgrade() {
        return Err(Flaw::Upgrade);
    }
    let Parsed { mut headers, host, upgrade } = fields(head.lines(), from_peer_proxy.then_some(b"weft-proxy-error"))?;
    if upgrade.is_some() {
        return Err(Flaw::Field);
    }
    if let Some(host) = host {
        headers.append(::http::header::HOST, host);
    }
    if head.status() < 200 || head.status() == 204 {
        if head.framing() != Framing::None {
            return Err(Flaw::Framing);
        }
    } else {
        put_content_length(head.framing(), &mut headers);
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).map_err(|_| Flaw::Status)?;
    *response.version_mut() = ::http::Version::HTTP_2;
    *response.headers_mut() = headers;
    Ok(response)
}
