//! Fields that speak of one connection, Weft's own, and those that two hops may understand differently.

use super::{
    Becomes::{Passed, Refused},
    Case, case,
};

/// A GET with these lines after its Host.
macro_rules! get {
    ($lines:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: a\r\n", $lines, "\r\n").as_bytes()
    };
}

/// What the app sees of a GET with these lines.
macro_rules! seen {
    ($lines:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: a\r\n", $lines, "\r\n")
    };
}

pub(super) const CASES: &[Case] = &[
    case(
        "what Connection names",
        "RFC 9110 7.6.1",
        get!("Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nY: 2\r\n"),
        Passed(&[seen!("Y: 2\r\n")]),
    ),
    case(
        "Connection names the framing",
        "RFC 9110 7.6.1; Davison, Abusing Hop-by-hop Headers, 2019",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&["POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
    case(
        "Connection names the coding",
        "RFC 9110 7.6.1; Davison 2019",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        Passed(&["POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\nabc"]),
    ),
    case("Connection names Host", "Davison 2019", get!("Connection: Host\r\n"), Passed(&[seen!("")])),
    case(
        "Connection names Weft's own field",
        "Davison 2019",
        get!("Connection: weft-client-identity, X\r\nX: 1\r\n"),
        Passed(&[seen!("")]),
    ),
    case(
        "two Connection fields",
        "RFC 9110 7.6.1",
        get!("Connection: A\r\nConnection: B\r\nA: 1\r\nB: 2\r\nC: 3\r\n"),
        Passed(&[seen!("C: 3\r\n")]),
    ),
    case(
        "fields of one connection that nobody named",
        "RFC 9110 7.6.1",
        get!("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nHTTP2-Settings: AA\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\n")]),
    ),
    case("Upgrade that Connection does not name", "RFC 9110 7.8", get!("Upgrade: websocket\r\n"), Passed(&[seen!("")])),
    case(
        "Upgrade in HTTP/1.0",
        "RFC 9110 7.8: must be ignored",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        Passed(&["GET / HTTP/1.0\r\nHost: a\r\n\r\n"]),
    ),
    case("TE says more than trailers", "RFC 9110 10.1.4", get!("TE: gzip\r\n"), Passed(&[seen!("")])),
    case(
        "TE says trailers among others",
        "RFC 9110 10.1.4",
        get!("Connection: TE\r\nTE: gzip;q=0.5, trailers\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\nte: trailers\r\nconnection: te\r\n")]),
    ),
    case(
        "a spoofed identity",
        "docs/mesh-transport.md, Lines",
        get!("weft-client-identity: spiffe://cluster.local/ns/shop/sa/admin\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\n")]),
    ),
    case(
        "a spoofed identity in any case",
        "RFC 9110 5.1: names have no case",
        get!("WEFT-Client-Identity: x\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\n")]),
    ),
    case(
        "a spoofed identity with underscores",
        "RFC 3875 4.1.18: CGI folds both",
        get!("weft_client_identity: x\r\nWeft_Client-Identity: x\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\n")]),
    ),
    case(
        "a spoofed error",
        "docs/mesh-transport.md, Lines",
        get!("weft-proxy-error: not-delivered\r\nX: 1\r\n"),
        Passed(&[seen!("X: 1\r\n")]),
    ),
    case(
        "what only looks like Weft's own",
        "docs/mesh-transport.md, Lines",
        get!("weftage: 1\r\nx-weft-y: 2\r\n"),
        Passed(&[seen!("weftage: 1\r\nx-weft-y: 2\r\n")]),
    ),
    case(
        "a length with underscores",
        "RFC 3875 4.1.2: not a length, whatever CGI makes of it",
        get!("Content_Length: 5\r\n"),
        Passed(&[seen!("Content_Length: 5\r\n")]),
    ),
    case(
        "an expectation that is none",
        "RFC 9110 10.1.1; Kettle 2025",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        Passed(&["POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\ncontent-length: 3\r\n\r\nabc"]),
    ),
    case(
        "an expectation without a body",
        "RFC 9110 10.1.1; Kettle 2025 (0.CL)",
        get!("Expect: 100-continue\r\n"),
        Passed(&[seen!("Expect: 100-continue\r\n")]),
    ),
    case("too many fields", "RFC 9110 5.4", MANY_FIELDS, Refused(431)),
    case("a field that is too long", "RFC 9110 5.4", LONG_FIELD, Refused(431)),
    case("a target that is too long", "RFC 9112 3", LONG_TARGET, Refused(431)),
];

const MANY_FIELDS: &[u8] = &with_run(b"GET / HTTP/1.1\r\nHost: a\r\n", b"x: y\r\n");
const LONG_FIELD: &[u8] = &with_run(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"xxxxxx");
const LONG_TARGET: &[u8] = &with_run(b"GET /", b"xxxxxx");

/// A head with so many repetitions that it is beyond the limits, and its end.
const fn with_run<const A: usize, const B: usize>(start: &[u8; A], repeated: &[u8; B]) -> [u8; 70_000] {
    let mut bytes = [0; 70_000];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = match at {
            _ if at < A => start[at],
            _ if bytes.len() - at <= 4 => b"\r\n\r\n"[at + 4 - bytes.len()],
            _ => repeated[(at - A) % B],
        };
        at += 1;
    }
    bytes
}
