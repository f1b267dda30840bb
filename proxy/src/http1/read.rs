//! Reading heads: bytes of HTTP/1.x to HEAD payloads.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::{
    AnswerTo, RequestInfo, ResponseInfo,
    scan::{Scan, copy_lines, has_bare_line_feed},
};
use crate::http::{
    Flaw, Framing, HeadError, Limits, MAX_FIELDS, Prefix, RequestPrefix, ResponsePrefix, Version, authority,
    check_host, check_target, flag, put_field, valid_value,
};

/// Reads a request's head at the start of `input` and appends its HEAD payload to `out`. None: more bytes are needed.
///
/// Hop-by-hop fields, what Connection names, framing fields and `weft-` fields stay behind. The target's authority replaces
/// the value of Host where the target has one (RFC 9112 section 3.2.2).
///
/// # Errors
/// The head is malformed, ambiguous, too large, or uses a transfer coding other than chunked. `out` is as it was.
pub fn read_request(input: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<Option<RequestInfo>, HeadError> {
    let start = out.len();
    let read = request(input, limits, out);
    if read.is_err() {
        out.truncate(start);
    }
    read.map_err(HeadError::Request)
}

/// Reads a response's head at the start of `input` and appends its HEAD payload to `out`. None: more bytes are needed.
///
/// What stays behind is the same as with a request. After an interim response call again for the next.
///
/// # Errors
/// The head is malformed, ambiguous, too large, or switches a protocol without being asked. `out` is as it was.
pub fn read_response(
    input: &[u8],
    answer_to: &AnswerTo,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Option<ResponseInfo>, HeadError> {
    let start = out.len();
    let read = response(input, answer_to, limits, out);
    if read.is_err() {
        out.truncate(start);
    }
    read.map_err(HeadError::Response)
}

fn request(input: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<Option<RequestInfo>, Flaw> {
    let input = within(input, limits);
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(input, &mut headers)?;
    let Some(used) = whole(status, parsed.headers.len(), input, limits)? else { return Ok(None) };
    let (method, target) = (parsed.method.unwrap_or_default().as_bytes(), parsed.path.unwrap_or_default().as_bytes());
    let version = version_of(parsed.version);
    let scheme = check_target(method, target)?;
    let mut scan = Scan::new(parsed.headers)?;
    let framing = scan.framing(version)?;
    let is_connect = method == b"CONNECT";
    if is_connect && framing.has_body() {
        return Err(Flaw::Framing);
    }
    check_hosts(&scan, version)?;
    let new = version != Version::Http10;
    // A switch happens only after the whole request; with a body to come it is not asked for (RFC 9110 section 7.8).
    let upgrade = is_connect || (new && scan.upgrade_named && scan.upgrade_offered && !framing.has_body());
    let expects_continue = new && scan.expects_continue && framing.has_body();
    let mut flags = if upgrade { flag::UPGRADE } else { 0 };
    flags |= if expects_continue { flag::EXPECT_CONTINUE } else { 0 };
    let prefix = RequestPrefix {
        prefix: Prefix { version, framing, flags },
        scheme,
        method: u8::try_from(method.len()).map_err(|_| Flaw::Method)?,
        target: u16::try_from(target.len()).map_err(|_| Flaw::TooLarge)?,
    };
    out.reserve(used + Prefix::LENGTH);
    out.extend_from_slice(&prefix.bytes());
    out.extend_from_slice(method);
    out.extend_from_slice(target);
    if upgrade && !is_connect {
        scan.keep_upgrade();
    }
    copy_request_fields(input, parsed.headers, &scan, authority(target), out);
    Ok(Some(RequestInfo {
        used,
        framing,
        version,
        keep_alive: scan.lives_on(version),
        is_head: method == b"HEAD",
        is_connect,
        upgrade,
        expects_continue,
    }))
}

fn check_hosts(scan: &Scan<'_>, version: Version) -> Result<(), Flaw> {
    match scan.hosts {
        0 if version != Version::Http10 => Err(Flaw::Host),
        0 => Ok(()),
        1 => check_host(scan.host),
        _ => Err(Flaw::Host),
    }
}

fn copy_request_fields(
    input: &[u8],
    headers: &[Header<'_>],
    scan: &Scan<'_>,
    authority: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    let dropped = scan.dropped(headers);
    match authority {
        Some(authority) if scan.hosts == 0 => put_field(b"host", authority, out),
        Some(authority) if authority != scan.host => {
            copy_lines(input, &headers[..scan.host_at], dropped, out);
            put_field(headers[scan.host_at].name.as_bytes(), authority, out);
            let rest = scan.host_at + 1;
            copy_lines(input, &headers[rest..], dropped >> rest, out);
            put_te(scan, out);
            return;
        }
        _ => {}
    }
    copy_lines(input, headers, dropped, out);
    put_te(scan, out);
}

/// Of a TE that says more, trailers is what goes on.
fn put_te(scan: &Scan<'_>, out: &mut Vec<u8>) {
    if scan.te_more {
        out.extend_from_slice(b"te: trailers\r\n");
    }
}

fn response(
    input: &[u8],
    answer_to: &AnswerTo,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<Option<ResponseInfo>, Flaw> {
    // An empty line before a request is forgiven (RFC 9112 section 2.2); before a response it is a stray byte.
    if matches!(input.first(), Some(b'\r' | b'\n')) {
        return Err(Flaw::Syntax(httparse::Error::Version));
    }
    let input = within(input, limits);
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let parse_status = parser.parse_response_with_uninit_headers(&mut parsed, input, &mut headers)?;
    let Some(used) = whole(parse_status, parsed.headers.len(), input, limits)? else { return Ok(None) };
    let (version, status) = (version_of(parsed.version), parsed.code.unwrap_or_default());
    if status < 100 {
        return Err(Flaw::Status);
    }
    let mut scan = Scan::new(parsed.headers)?;
    let declared = declared(&scan, status, version, answer_to)?;
    let framing = if answer_to.is_bodiless(status) { Framing::None } else { declared };
    if status == 101 && !(answer_to.takes_101() && scan.upgrade_offered && scan.upgrade_named) {
        return Err(Flaw::Upgrade);
    }
    let upgrade = matches!(status, 101 | 426) && scan.upgrade_offered;
    let reason = reason_phrase(input, parsed.reason);
    let flags = if upgrade { flag::UPGRADE } else { 0 };
    let prefix = ResponsePrefix {
        prefix: Prefix { version, framing: declared, flags },
        status,
        reason: u16::try_from(reason.len()).map_err(|_| Flaw::TooLarge)?,
    };
    out.reserve(used + Prefix::LENGTH);
    out.extend_from_slice(&prefix.bytes());
    out.extend_from_slice(reason);
    if upgrade {
        scan.keep_upgrade();
    }
    copy_lines(input, parsed.headers, scan.dropped(parsed.headers), out);
    Ok(Some(ResponseInfo {
        used,
        status,
        framing,
        keep_alive: scan.lives_on(version)
            && answer_to.version != Version::Http10
            && framing != Framing::UntilClose
            && !answer_to.is_switch(status),
        interim: status < 200 && status != 101,
        switched: answer_to.is_switch(status),
    }))
}

/// What the fields of a response declare; where they may not declare anything, nothing (RFC 9110 section 8.6).
fn declared(scan: &Scan<'_>, status: u16, version: Version, answer_to: &AnswerTo) -> Result<Framing, Flaw> {
    let framing = scan.framing(version)?;
    if !answer_to.may_declare(status) {
        return Ok(Framing::None);
    }
    match framing {
        Framing::None if !answer_to.is_bodiless(status) => Ok(Framing::UntilClose),
        framing => Ok(framing),
    }
}

/// The reason phrase; `httparse` gives an empty one where it has bytes beyond ASCII.
fn reason_phrase<'a>(input: &'a [u8], parsed: Option<&'a str>) -> &'a [u8] {
    const BEFORE: usize = "HTTP/1.1 200 ".len();
    let parsed = parsed.unwrap_or_default().as_bytes();
    if !parsed.is_empty() {
        return parsed;
    }
    let line = input.split(|b| *b == b'\r').next().unwrap_or_default();
    line.get(BEFORE..).filter(|phrase| valid_value(phrase)).unwrap_or_default()
}

/// The head's length once it is whole and within the limits.
/// What may be of a head: what lies behind its limit has no say, however much of it has come.
fn within<'a>(input: &'a [u8], limits: &Limits) -> &'a [u8] {
    &input[..input.len().min(limits.head_bytes)]
}

fn whole(status: Status<usize>, fields: usize, input: &[u8], limits: &Limits) -> Result<Option<usize>, Flaw> {
    match status {
        Status::Complete(_) if fields > limits.fields => Err(Flaw::TooLarge),
        Status::Complete(used) if has_bare_line_feed(&input[..used]) => Err(Flaw::BareLineFeed),
        Status::Complete(used) => Ok(Some(used)),
        Status::Partial if input.len() >= limits.head_bytes => Err(Flaw::TooLarge),
        Status::Partial => Ok(None),
    }
}

fn version_of(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}
