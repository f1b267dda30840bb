//! Lengths, Weft's own fields, frames out of their place, and floods.

use super::{
    A, CONTINUATION, DATA, END_HEADERS, END_STREAM,
    Fate::{Ends, Passed, Reset},
    GOAWAY, HEADERS, Http2Case, M, P, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, S, SETTINGS, WINDOW_UPDATE, block,
    case, data, frame, good, only, with,
};

pub(super) const CASES: &[Http2Case] = &[
    // Lengths.
    case(
        "H2.CL: more than the length",
        "RFC 9113 8.1.1; Kettle 2021",
        || {
            [with(1, 0, &[("content-length", "0")]), data(1, END_STREAM, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]
                .concat()
        },
        Reset,
    ),
    case(
        "less than the length",
        "RFC 9113 8.1.1",
        || [with(1, 0, &[("content-length", "5")]), data(1, END_STREAM, b"abc")].concat(),
        Reset,
    ),
    case("a length and no DATA", "RFC 9113 8.1.1", || with(1, END_STREAM, &[("content-length", "5")]), Reset),
    case(
        "two lengths",
        "RFC 9110 8.6",
        || [with(1, 0, &[("content-length", "3"), ("content-length", "5")]), data(1, END_STREAM, b"abc")].concat(),
        Reset,
    ),
    case(
        "a length that is no number",
        "RFC 9110 8.6",
        || [with(1, 0, &[("content-length", "+3")]), data(1, END_STREAM, b"abc")].concat(),
        Reset,
    ),
    // Weft's own fields.
    case(
        "a spoofed identity",
        "docs/mesh-transport.md, Lines",
        || with(1, END_STREAM, &[("weft-client-identity", "x"), ("weft_client_identity", "x"), ("y", "1")]),
        Passed("POST http://a/\ny: 1\n\n"),
    ),
    case(
        "spoofed fields in trailers",
        "docs/mesh-transport.md, Lines",
        || {
            [
                with(1, 0, &[]),
                data(1, 0, b"abc"),
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    1,
                    &block(&[("weft-client-identity", "x"), ("weft_x", "x"), ("y", "1")]),
                ),
            ]
            .concat()
        },
        Passed("POST http://a/\n\nabc\ny: 1\n"),
    ),
    case(
        "framing in trailers",
        "RFC 9110 6.5.1",
        || {
            [
                with(1, 0, &[]),
                data(1, 0, b"abc"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("host", "b"), ("y", "1")])),
            ]
            .concat()
        },
        Passed("POST http://a/\n\nabc\ny: 1\n"),
    ),
    case("Host for :authority", "RFC 9113 8.3.1", || only(&[M, S, P, ("host", "a")]), Passed("GET http://a/\n\n")),
    case(
        "the same Host beside :authority",
        "RFC 9113 8.3.1",
        || only(&[M, S, A, P, ("host", "a")]),
        Passed("GET http://a/\n\n"),
    ),
    case(
        "padding",
        "RFC 9113 6.1",
        || [with(1, 0, &[]), frame(DATA, 8 | END_STREAM, 1, b"\x02abc\0\0")].concat(),
        Passed("POST http://a/\n\nabc"),
    ),
    // Frames.
    case("a frame that is too large", "RFC 9113 4.2", || [with(1, 0, &[]), data(1, 0, &[0; 16_385])].concat(), Ends),
    case(
        "padding longer than its frame",
        "RFC 9113 6.1",
        || [with(1, 0, &[]), frame(DATA, 8, 1, b"\x09abc")].concat(),
        Ends,
    ),
    case("DATA of stream 0", "RFC 9113 6.1", || data(0, 0, b"abc"), Ends),
    case("DATA of a stream that nobody opened", "RFC 9113 5.1", || data(1, 0, b"abc"), Ends),
    case("HEADERS of an even stream", "RFC 9113 5.1.1", || with(2, END_STREAM, &[]), Ends),
    case(
        "an id lower than one before",
        "RFC 9113 5.1.1",
        || [good(5), frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&[M, S, A, P]))].concat(),
        Ends,
    ),
    case("CONTINUATION without HEADERS", "RFC 9113 6.10", || frame(CONTINUATION, END_HEADERS, 1, b""), Ends),
    case(
        "another frame among CONTINUATIONs",
        "RFC 9113 6.10",
        || [frame(HEADERS, END_STREAM, 1, &block(&[M])), frame(PING, 0, 0, &[0; 8])].concat(),
        Ends,
    ),
    case("a header block that is none", "RFC 7541 6.1", || frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]), Ends),
    case(
        "an index beyond the tables",
        "RFC 7541 2.3.3",
        || frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0x7f]),
        Ends,
    ),
    case(
        "a table larger than allowed",
        "RFC 7541 6.3",
        || frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xe1, 0xff, 0x7f]),
        Ends,
    ),
    case("PUSH_PROMISE by a client", "RFC 9113 8.4", || frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Ends),
    case("SETTINGS on a stream", "RFC 9113 6.5", || frame(SETTINGS, 0, 1, b""), Ends),
    case("SETTINGS that are cut short", "RFC 9113 6.5", || frame(SETTINGS, 0, 0, b"abc"), Ends),
    case("a window beyond 31 bits", "RFC 9113 6.5.2", || frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), Ends),
    case("a PING that is cut short", "RFC 9113 6.7", || frame(PING, 0, 0, b"abc"), Ends),
    case("WINDOW_UPDATE of 0", "RFC 9113 6.9", || frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Ends),
    case(
        "WINDOW_UPDATE beyond 31 bits",
        "RFC 9113 6.9.1",
        || frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        Ends,
    ),
    case("RST_STREAM of stream 0", "RFC 9113 6.4", || frame(RST_STREAM, 0, 0, &[0; 4]), Ends),
    case("RST_STREAM of a stream that nobody opened", "RFC 9113 6.4", || frame(RST_STREAM, 0, 1, &[0; 4]), Ends),
    case(
        "a kind that nobody knows",
        "RFC 9113 5.5",
        || [frame(0xbb, 0xff, 0, b"abc"), with(1, END_STREAM, &[])].concat(),
        Passed("POST http://a/\n\n"),
    ),
    // Floods.
    case(
        "rapid reset",
        "CVE-2023-44487",
        || {
            (0..2000)
                .map(|index| 1 + 2 * index)
                .flat_map(|stream| [good(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat())
                .collect()
        },
        Ends,
    ),
    case(
        "resets that the proxy is made to send",
        "CVE-2025-8671",
        || {
            (0..2000)
                .map(|index| 1 + 2 * index)
                .flat_map(|stream| [with(stream, 0, &[]), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat())
                .collect()
        },
        Ends,
    ),
    case(
        "a flood of CONTINUATIONs",
        "VU#421644, CVE-2024-27316",
        || {
            let piece = frame(CONTINUATION, 0, 1, &block(&[("x", "y")]).repeat(2000));
            [frame(HEADERS, END_STREAM, 1, &block(&[M])), piece.repeat(200)].concat()
        },
        Ends,
    ),
    case(
        "a flood of empty CONTINUATIONs",
        "VU#421644",
        || [frame(HEADERS, END_STREAM, 1, &block(&[M])), frame(CONTINUATION, 0, 1, b"").repeat(100_000)].concat(),
        Ends,
    ),
    case(
        "a flood of PINGs",
        "CVE-2019-9512",
        || [frame(PING, 0, 0, &[0; 8]).repeat(10_000), with(1, END_STREAM, &[])].concat(),
        Passed("POST http://a/\n\n"),
    ),
    case(
        "a flood of SETTINGS",
        "CVE-2019-9515",
        || [frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(10_000), with(1, END_STREAM, &[])].concat(),
        Passed("POST http://a/\n\n"),
    ),
    case(
        "a flood of PRIORITY",
        "CVE-2019-9513",
        || [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]).repeat(10_000), with(1, END_STREAM, &[])].concat(),
        Passed("POST http://a/\n\n"),
    ),
    case(
        "a flood of empty DATA",
        "CVE-2019-9518",
        || [with(1, 0, &[]), data(1, 0, b"").repeat(10_000), data(1, END_STREAM, b"abc")].concat(),
        Ends,
    ),
    case("GOAWAY, and the end", "RFC 9113 6.8", || frame(GOAWAY, 0, 0, &[0; 8]), Ends),
];
