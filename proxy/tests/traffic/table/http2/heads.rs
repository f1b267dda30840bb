//! Pseudo-headers and fields.

use super::{
    A, CONTINUATION, END_HEADERS, END_STREAM,
    Fate::{Ends, Passed, Refused, Reset},
    HEADERS, Http2Case, M, P, S, block, case, data, frame, only, with,
};

pub(super) const CASES: &[Http2Case] = &[
    // Pseudo-headers.
    case("no :method", "RFC 9113 8.3.1", || only(&[S, A, P]), Reset),
    case("no :scheme", "RFC 9113 8.3.1", || only(&[M, A, P]), Reset),
    case("no :path", "RFC 9113 8.3.1", || only(&[M, S, A]), Reset),
    case("an empty :path", "RFC 9113 8.3.1", || only(&[M, S, A, (":path", "")]), Reset),
    case("neither :authority nor Host", "RFC 9113 8.3.1", || only(&[M, S, P]), Reset),
    case("two :method", "RFC 9113 8.3.1", || only(&[M, M, S, A, P]), Reset),
    case(
        "two :path",
        "RFC 9113 8.3.1; Kettle, HTTP/2: The Sequel is Always Worse, 2021",
        || only(&[M, S, A, P, (":path", "/smuggled")]),
        Reset,
    ),
    case("two :authority", "RFC 9113 8.3.1; Kettle 2021", || only(&[M, S, A, (":authority", "b"), P]), Reset),
    case("a pseudo-header after a field", "RFC 9113 8.3", || only(&[M, S, A, ("x", "1"), P]), Reset),
    case("a pseudo-header that nobody knows", "RFC 9113 8.3", || only(&[M, S, A, P, (":x", "1")]), Ends),
    case("a response's pseudo-header", "RFC 9113 8.3", || only(&[M, S, A, P, (":status", "200")]), Reset),
    case(
        "a pseudo-header in trailers",
        "RFC 9113 8.1",
        || {
            [
                with(1, 0, &[]),
                data(1, 0, b"abc"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":path", "/smuggled")])),
            ]
            .concat()
        },
        Passed("POST http://a/\n\nabc"),
    ),
    case(":authority and another Host", "RFC 9113 8.3.1; Kettle 2021", || only(&[M, S, A, P, ("host", "b")]), Refused),
    case(
        "a request line in :method",
        "RFC 9113 8.3.1; Kettle 2021",
        || only(&[(":method", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"), S, A, P]),
        Ends,
    ),
    case("a space in :method", "Kettle 2021", || only(&[(":method", "GET /smuggled"), S, A, P]), Ends),
    case(
        "CRLF in :path",
        "RFC 9113 10.3; Kettle 2021",
        || only(&[M, S, A, (":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled")]),
        Reset,
    ),
    case("a space in :path", "RFC 9113 8.3.1; Kettle 2021", || only(&[M, S, A, (":path", "/a b")]), Reset),
    case("a fragment in :path", "RFC 9113 8.3.1", || only(&[M, S, A, (":path", "/a#b")]), Passed("GET http://a/a\n\n")),
    case("the asterisk form with GET", "RFC 9113 8.3.1", || only(&[M, S, A, (":path", "*")]), Refused),
    case("a :path without its slash", "RFC 9113 8.3.1; Kettle 2021", || only(&[M, S, A, (":path", "@b/")]), Reset),
    case("CRLF in :scheme", "Kettle 2021", || only(&[M, (":scheme", "http://b/\r\nX: "), A, P]), Reset),
    case("another :scheme", "RFC 9113 8.3.1", || only(&[M, (":scheme", "ftp"), A, P]), Refused),
    case("CRLF in :authority", "Kettle 2021", || only(&[M, S, (":authority", "a\r\nX: 1"), P]), Reset),
    case("userinfo in :authority", "RFC 9113 8.3.1", || only(&[M, S, (":authority", "u@a"), P]), Refused),
    case("a path in :authority", "Kettle 2021", || only(&[M, S, (":authority", "a/b"), P]), Reset),
    case("CONNECT with :scheme and :path", "RFC 9113 8.5", || only(&[(":method", "CONNECT"), S, A, P]), Reset),
    case("CONNECT without a port", "RFC 9113 8.5", || only(&[(":method", "CONNECT"), A]), Refused),
    case(
        "CONNECT with a length",
        "RFC 9113 8.5",
        || only(&[(":method", "CONNECT"), (":authority", "a:80"), ("content-length", "0")]),
        Refused,
    ),
    case(":protocol without CONNECT", "RFC 8441 4", || only(&[M, S, A, P, (":protocol", "websocket")]), Reset),
    case(
        ":protocol without :path",
        "RFC 8441 4",
        || only(&[(":method", "CONNECT"), (":protocol", "websocket"), S, A]),
        Reset,
    ),
    case(
        "CRLF in :protocol",
        "RFC 9113 10.3",
        || only(&[(":method", "CONNECT"), (":protocol", "x\r\nX: 1"), S, A, P]),
        Refused,
    ),
    case(
        "h2c as :protocol",
        "RFC 8441 4; Bishop Fox 2020",
        || only(&[(":method", "CONNECT"), (":protocol", "h2c"), S, A, P]),
        Refused,
    ),
    // Fields.
    case("CRLF in a value", "RFC 9113 8.2.1; Kettle 2021", || with(1, END_STREAM, &[("x", "1\r\ny: 2")]), Ends),
    case("LF in a value", "RFC 9113 8.2.1; Kettle 2021", || with(1, END_STREAM, &[("x", "1\ny: 2")]), Ends),
    case("CR in a value", "RFC 9113 8.2.1", || with(1, END_STREAM, &[("x", "1\ry: 2")]), Ends),
    case("NUL in a value", "RFC 9113 8.2.1", || with(1, END_STREAM, &[("x", "1\0")]), Ends),
    case(
        "a request in a value",
        "Kettle 2021",
        || with(1, END_STREAM, &[("x", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]),
        Ends,
    ),
    case("spaces around a value", "RFC 9113 8.2.1", || with(1, END_STREAM, &[("x", " 1 ")]), Refused),
    case("CRLF in a name", "RFC 9113 8.2.1; Kettle 2021", || with(1, END_STREAM, &[("x: 1\r\ny", "2")]), Ends),
    case(
        "a colon in a name",
        "RFC 9113 8.2.1; Kettle 2021",
        || with(1, END_STREAM, &[("transfer-encoding: chunked", "x")]),
        Ends,
    ),
    case("a space in a name", "RFC 9113 8.2.1", || with(1, END_STREAM, &[("x y", "1")]), Ends),
    case("capitals in a name", "RFC 9113 8.2.1", || with(1, END_STREAM, &[("X-Y", "1")]), Ends),
    case("an empty name", "RFC 9113 8.2.1; CVE-2019-9516", || with(1, END_STREAM, &[("", "1")]), Ends),
    case(
        "H2.TE: a coding",
        "RFC 9113 8.2.2; Kettle 2021",
        || {
            [
                with(1, 0, &[("transfer-encoding", "chunked")]),
                data(1, END_STREAM, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
            ]
            .concat()
        },
        Reset,
    ),
    case("Connection", "RFC 9113 8.2.2", || with(1, END_STREAM, &[("connection", "weft-client-identity")]), Reset),
    case("Keep-Alive", "RFC 9113 8.2.2", || with(1, END_STREAM, &[("keep-alive", "5")]), Reset),
    case("Proxy-Connection", "RFC 9113 8.2.2", || with(1, END_STREAM, &[("proxy-connection", "close")]), Reset),
    case("Upgrade", "RFC 9113 8.2.2; Bishop Fox 2020", || with(1, END_STREAM, &[("upgrade", "h2c")]), Reset),
    case("TE with more than trailers", "RFC 9113 8.2.2", || with(1, END_STREAM, &[("te", "gzip")]), Reset),
    case("HTTP2-Settings", "RFC 9113 3.1", || with(1, END_STREAM, &[("http2-settings", "AA")]), Refused),
    case("more fields than allowed", "RFC 9113 10.5.1", || with(1, END_STREAM, &[("x", "y"); 101]), Reset),
    case(
        "a list of fields that is too large",
        "RFC 9113 10.5.1",
        || {
            let value = "x".repeat(15_000);
            let all = block(&[M, S, A, P, ("a", &value), ("b", &value), ("c", &value), ("d", &value), ("e", &value)]);
            let mut frames = frame(HEADERS, END_STREAM, 1, &all[..16_000]);
            let pieces = all[16_000..].chunks(16_000);
            let last = pieces.len() - 1;
            for (index, piece) in pieces.enumerate() {
                frames.extend(frame(CONTINUATION, if index == last { END_HEADERS } else { 0 }, 1, piece));
            }
            frames
        },
        Reset,
    ),
];
