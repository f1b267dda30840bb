//! Writing heads: HEAD payloads to bytes of HTTP/1.x, each byte checked again.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::{
    AnswerTo, RequestWritten, ResponseWritten, WriteResponse,
    scan::{Scan, has_bare_line_feed},
};
use crate::http::{
    Fields, Flaw, Framing, HeadError, MAX_FIELDS, RequestHead, ResponseHead, Version, check_host, check_target, eq,
    is_of_weft, put_decimal, put_field, valid_value,
};

/// The line end and the blank line after the peer's fields while they are checked.
const BLANK: &[u8] = b"\r\n";

/// Appends the head of a request for the app. `add`: fields of our own, after `weft-` fields of the payload are gone.
///
/// # Errors
/// The payload is not what reading a well-formed request makes. `out` is as it was.
pub fn write_request(payload: &[u8], add: &[(&str, &[u8])], out: &mut Vec<u8>) -> Result<RequestWritten, HeadError> {
    let start = out.len();
    let written = request(payload, add, out);
    if written.is_err() {
        out.truncate(start);
    }
    written.map_err(HeadError::Request)
}

/// Appends the head of a response for the client.
///
/// The version is kept. An HTTP/1.0 client gets no interim responses, and a chunked body becomes one that ends with the
/// connection.
///
/// # Errors
/// The payload is not what reading a well-formed response makes. `out` is as it was.
pub fn write_response(payload: &[u8], how: &WriteResponse, out: &mut Vec<u8>) -> Result<ResponseWritten, HeadError> {
    let start = out.len();
    let written = response(payload, how, out);
    if written.is_err() {
        out.truncate(start);
    }
    written.map_err(HeadError::Response)
}

fn request(payload: &[u8], add: &[(&str, &[u8])], out: &mut Vec<u8>) -> Result<RequestWritten, Flaw> {
    let head = RequestHead::parse(payload)?;
    let (method, target, version, framing) = (head.method(), head.target(), head.version(), head.framing());
    check_target(method, target)?;
    let is_connect = method == b"CONNECT";
    let switches = is_connect || head.upgrade();
    let faulty = switches && framing.has_body() || version == Version::Http10 && framing == Framing::Chunked;
    if faulty || version == Version::Http10 && head.upgrade() && !is_connect {
        return Err(Flaw::Framing);
    }
    let start = out.len();
    out.reserve(payload.len() + 128);
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(if version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let lines_at = out.len();
    put_lines(head.lines(), out)?;
    let told = check_request(&out[start..], &head)?;
    out.truncate(lines_at + head.lines().len());
    if told.strip {
        out.truncate(lines_at);
        put_without_weft(head.fields(), None, out);
    }
    for (name, value) in add {
        put_field(name.as_bytes(), if valid_value(value) { value } else { return Err(Flaw::Field) }, out);
    }
    let upgrade = head.upgrade() && !is_connect;
    match (upgrade, told.te) {
        (true, true) => out.extend_from_slice(b"connection: upgrade, te\r\n"),
        (true, false) => out.extend_from_slice(b"connection: upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"connection: te\r\n"),
        (false, false) => {}
    }
    put_framing(framing, out);
    out.extend_from_slice(BLANK);
    let answer_to = AnswerTo { version, is_head: method == b"HEAD", is_connect, upgrade: head.upgrade() };
    Ok(RequestWritten { framing, answer_to })
}

/// What the check of a payload's fields tells the writer.
struct Told {
    /// `weft-` fields are among them.
    strip: bool,
    /// TE is among them.
    te: bool,
}

fn check_request(composed: &[u8], head: &RequestHead<'_>) -> Result<Told, Flaw> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(composed, &mut headers)?;
    check_whole(status, composed)?;
    if parsed.method.map(str::as_bytes) != Some(head.method()) {
        return Err(Flaw::Method);
    }
    if parsed.path.map(str::as_bytes) != Some(head.target()) {
        return Err(Flaw::Target);
    }
    let scan = check_fields(parsed.headers, head.upgrade() && head.method() != b"CONNECT")?;
    match scan.hosts {
        0 if head.version() == Version::Http10 => {}
        1 => check_host(scan.host)?,
        _ => return Err(Flaw::Host),
    }
    Ok(Told { strip: scan.weft != 0, te: scan.te_trailers })
}

fn response(payload: &[u8], how: &WriteResponse, out: &mut Vec<u8>) -> Result<ResponseWritten, Flaw> {
    let head = ResponseHead::parse(payload)?;
    let (status, answer_to) = (head.status(), &how.answer_to);
    let switched = answer_to.is_switch(status);
    let framing = written_framing(&head, answer_to)?;
    let mut written = ResponseWritten { framing, status, interim: head.interim(), switched, close: how.close };
    if status == 101 && !(answer_to.takes_101() && head.upgrade()) || head.upgrade() && !matches!(status, 101 | 426) {
        return Err(Flaw::Upgrade);
    }
    if !valid_value(head.reason()) {
        return Err(Flaw::ReasonPhrase);
    }
    let start = out.len();
    out.reserve(payload.len() + 128);
    out.extend_from_slice(if head.version() == Version::Http10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    put_decimal(status.into(), out);
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    let lines_at = out.len();
    put_lines(head.lines(), out)?;
    let strip = check_response(&out[start..], head.upgrade())?;
    if written.interim && answer_to.version == Version::Http10 {
        out.truncate(start);
        return Ok(written);
    }
    out.truncate(lines_at + head.lines().len());
    if strip {
        out.truncate(lines_at);
        put_without_weft(head.fields(), how.from_peer_proxy.then_some(b"weft-proxy-error"), out);
    }
    written.close |= framing == Framing::UntilClose;
    if !written.interim {
        put_connection(&head, how, &written, out);
    }
    put_declared(&head, framing, answer_to, out);
    out.extend_from_slice(BLANK);
    Ok(written)
}

/// How the body that really follows is written.
fn written_framing(head: &ResponseHead<'_>, answer_to: &AnswerTo) -> Result<Framing, Flaw> {
    let (status, declared) = (head.status(), head.framing());
    if !answer_to.may_declare(status) && declared != Framing::None
        || head.version() == Version::Http10 && declared == Framing::Chunked
    {
        return Err(Flaw::Framing);
    }
    Ok(match declared {
        _ if answer_to.is_bodiless(status) => Framing::None,
        Framing::None => Framing::Length(0), // with nothing said, the client would wait for the connection's end
        Framing::Chunked if answer_to.version == Version::Http10 => Framing::UntilClose,
        declared => declared,
    })
}

/// Writes what the response declares: the framing of its body, or in HEAD and 304 what it would have been.
fn put_declared(head: &ResponseHead<'_>, framing: Framing, answer_to: &AnswerTo, out: &mut Vec<u8>) {
    let old = answer_to.version == Version::Http10;
    match head.framing() {
        Framing::Chunked if old => {}
        declared if answer_to.is_bodiless(head.status()) => put_framing(declared, out),
        _ => put_framing(framing, out),
    }
}

fn put_connection(head: &ResponseHead<'_>, how: &WriteResponse, written: &ResponseWritten, out: &mut Vec<u8>) {
    let old = head.version() == Version::Http10 || how.answer_to.version == Version::Http10;
    let upgrade = head.upgrade();
    out.extend_from_slice(match (upgrade, written.close && !written.switched) {
        (true, true) => b"connection: upgrade, close\r\n",
        (true, false) => b"connection: upgrade\r\n",
        (false, true) => b"connection: close\r\n",
        (false, false) if old && !written.switched => b"connection: keep-alive\r\n",
        (false, false) => b"",
    });
}

fn check_response(composed: &[u8], upgrade: bool) -> Result<bool, Flaw> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let status = parser.parse_response_with_uninit_headers(&mut parsed, composed, &mut headers)?;
    check_whole(status, composed)?;
    Ok(check_fields(parsed.headers, upgrade)?.weft != 0)
}

/// Copies the peer's lines and a blank line after them, so that they can be parsed.
fn put_lines(lines: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
    // The last line must be closed: it would run into the framing fields else.
    if !lines.is_empty() && !lines.ends_with(BLANK) {
        return Err(Flaw::Field);
    }
    out.extend_from_slice(lines);
    out.extend_from_slice(BLANK);
    Ok(())
}

fn check_whole(status: Status<usize>, composed: &[u8]) -> Result<(), Flaw> {
    if status != Status::Complete(composed.len()) {
        return Err(Flaw::Field);
    }
    if has_bare_line_feed(composed) { Err(Flaw::BareLineFeed) } else { Ok(()) }
}

/// The fields of a payload must have none that reading leaves behind, `weft-` fields apart.
fn check_fields<'h>(headers: &[Header<'h>], upgrade: bool) -> Result<Scan<'h>, Flaw> {
    let scan = Scan::new(headers)?;
    if scan.hop != 0 {
        return Err(Flaw::Field);
    }
    if upgrade != (scan.upgrades != 0) || upgrade && !scan.upgrade_offered {
        return Err(Flaw::Upgrade);
    }
    Ok(scan)
}

fn put_without_weft(fields: Fields<'_>, kept: Option<&[u8]>, out: &mut Vec<u8>) {
    for field in fields {
        if !is_of_weft(field.name) || kept.is_some_and(|kept| eq(field.name, kept)) {
            put_field(field.name, field.value, out);
        }
    }
}

fn put_framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            put_decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}
