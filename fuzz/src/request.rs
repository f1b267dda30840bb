//! Requests as somebody writes them who wants two parsers to disagree: mostly well-formed, with a doubtful byte here and there.

use libfuzzer_sys::arbitrary::{Result, Unstructured};

use crate::one_of;

const METHODS: [&[u8]; 8] = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PUT", b"get", b"G:T"];
const TARGETS: [&[u8]; 9] =
    [b"/", b"/a?b=c", b"*", b"http://b:81/p?q", b"a:443", b"//x", b"/a#b", b"/\xff", b"HTTPS://b"];
const VERSIONS: [&[u8]; 5] = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1"];
const NAMES: [&[u8]; 18] = [
    b"Host",
    b"Content-Length",
    b"content-length",
    b"Transfer-Encoding",
    b"Connection",
    b"Keep-Alive",
    b"TE",
    b"Upgrade",
    b"Expect",
    b"X-A",
    b"x-b",
    b"weft-client-identity",
    b"WEFT_X",
    b"Trailer",
    b"Proxy-Connection",
    b"Cookie",
    b"X_A",
    b"",
];
const VALUES: [&[u8]; 20] = [
    b"a",
    b"chunked",
    b"5",
    b"0",
    b"05",
    b"+5",
    b"5, 5",
    b"gzip, chunked",
    b"chunked, chunked",
    b"Chunked",
    b"close",
    b"keep-alive, x-a",
    b"upgrade",
    b"TE, Content-Length",
    b"trailers",
    b"gzip, trailers",
    b"websocket",
    b"100-continue",
    b"\x0bchunked",
    b"",
];
const SIZES: [&[u8]; 9] = [b"3", b"03", b"3;a=b", b"3 ;a", b"0x3", b"+3", b"3\n", b"-3", b"ffffffffffffffff"];
/// What shows that bytes of a body were taken for a request.
const HIDDEN: &[u8] = b"GET /hidden HTTP/1.1\r\nHost: b\r\n\r\n";

/// What comes over one connection.
pub fn connection(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        request(u, &mut out)?;
    }
    Ok(out)
}

fn request(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    for part in
        [one_of(u, &METHODS), gap(u, b" "), one_of(u, &TARGETS), gap(u, b" "), one_of(u, &VERSIONS), gap(u, b"\r\n")]
    {
        out.extend_from_slice(part);
    }
    if u.ratio(7, 8)? {
        out.extend_from_slice(b"Host: a\r\n");
    }
    for _ in 0..u.int_in_range(0..=5)? {
        field(u, out)?;
    }
    if u.ratio(1, 3)? {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        return chunks(u, out);
    }
    if u.ratio(1, 2)? {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", HIDDEN.len()).as_bytes());
        out.extend_from_slice(HIDDEN);
        return Ok(());
    }
    out.extend_from_slice(gap(u, b"\r\n"));
    Ok(())
}

fn field(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    let name = if u.ratio(1, 8)? { few_bytes(u)? } else { one_of(u, &NAMES) };
    let value = if u.ratio(1, 4)? { few_bytes(u)? } else { one_of(u, &VALUES) };
    for part in [name, gap(u, b": "), value, gap(u, b"\r\n")] {
        out.extend_from_slice(part);
    }
    Ok(())
}

fn chunks(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    for _ in 0..u.int_in_range(0..=2)? {
        for part in [one_of(u, &SIZES), gap(u, b"\r\n"), b"abc", gap(u, b"\r\n")] {
            out.extend_from_slice(part);
        }
    }
    if u.ratio(1, 2)? {
        out.extend_from_slice(format!("{:x}\r\n", HIDDEN.len()).as_bytes());
        out.extend_from_slice(HIDDEN);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0");
    out.extend_from_slice(gap(u, b"\r\n"));
    for _ in 0..u.int_in_range(0..=2)? {
        field(u, out)?;
    }
    out.extend_from_slice(gap(u, b"\r\n"));
    Ok(())
}

/// What stands between two parts: nearly always the right thing.
fn gap<'a>(u: &mut Unstructured<'_>, right: &'a [u8]) -> &'a [u8] {
    const WRONG: [&[u8]; 14] = [
        b"",
        b"  ",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n ",
        b"\r\r\n",
        b" : ",
        b":",
        b":\t ",
        b"\0",
        b"\r\n\r\n",
        b"\n\n",
        b"\x0c",
    ];
    match u.ratio(1, 24) {
        Ok(true) => one_of(u, &WRONG),
        _ => right,
    }
}

fn few_bytes<'a>(u: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let length = u.int_in_range(0..=6)?;
    u.bytes(length.min(u.len()))
}
