//! Chunked bodies.

use super::{
    Becomes::{CutShort, Passed},
    Case, case,
};

/// A request whose chunked body is still to come.
macro_rules! chunked {
    ($body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes()
    };
}

/// What the app sees of a request with this body.
macro_rules! seen {
    ($body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n", $body)
    };
}

pub(super) const CASES: &[Case] = &[
    case("a size that is no number", "RFC 9112 7.1", chunked!("x\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case("an empty size", "RFC 9112 7.1", chunked!("\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case("a negative size", "RFC 9112 7.1", chunked!("-3\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case(
        "a size with a plus sign",
        "RFC 9112 7.1; CVE-2022-32213 is of this kind",
        chunked!("+3\r\nabc\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case("a size with 0x", "RFC 9112 7.1; Grenfeldt et al. 2021", chunked!("0x3\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case(
        "a size with a separator",
        "RFC 9112 7.1; int() of Python takes it",
        chunked!("0_3\r\nabc\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case(
        "a size that overflows to 3",
        "RFC 9112 7.1: anticipate large numerals",
        chunked!("10000000000000003\r\nabc\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case("a space before the size", "RFC 9112 7.1", chunked!(" 3\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case(
        "a space after the size",
        "RFC 9112 7.1; Grenfeldt et al. 2021",
        chunked!("3 \r\nabc\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case(
        "LF after the size",
        "CVE-2025-22871; Weikop, Funky Chunks, 2025 (TERM.EXT)",
        chunked!("3\nabc\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case(
        "LF within an extension",
        "Weikop 2025 (TERM.EXT)",
        chunked!("2;\nxx\r\n31\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case(
        "CR within an extension",
        "Weikop 2025 (EXT.TERM)",
        chunked!("2;\rxx\r\n31\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case("NUL within an extension", "RFC 9112 7.1.1", chunked!("3;a=\0\r\nabc\r\n0\r\n\r\n"), CutShort(400)),
    case(
        "data that goes on after its size",
        "Weikop 2025 (TERM.SPILL)",
        chunked!("3\r\nabcX\r\n0\r\n\r\n"),
        CutShort(400),
    ),
    case("data without its line end", "Weikop 2025 (SPILL.TERM)", chunked!("3\r\nabc0\r\n\r\n"), CutShort(400)),
    case("LF after the data", "RFC 9112 7.1; Weikop 2025", chunked!("3\r\nabc\n0\r\n\r\n"), CutShort(400)),
    case("CR after the data", "RFC 9112 7.1; Weikop 2025", chunked!("3\r\nabc\r0\r\n\r\n"), CutShort(400)),
    case("LF after the last chunk", "RFC 9112 7.1", chunked!("3\r\nabc\r\n0\n\r\n"), CutShort(400)),
    case("LF at the very end", "RFC 9112 7.1", chunked!("3\r\nabc\r\n0\r\n\n"), CutShort(400)),
    case("a trailer without a colon", "RFC 9112 7.1.2", chunked!("3\r\nabc\r\n0\r\nX\r\n\r\n"), CutShort(400)),
    case("a folded trailer", "RFC 9112 5.2", chunked!("3\r\nabc\r\n0\r\nX: 1\r\n 2\r\n\r\n"), CutShort(400)),
    case("a space before a trailer's colon", "RFC 9112 5.1", chunked!("3\r\nabc\r\n0\r\nX : 1\r\n\r\n"), CutShort(400)),
    case("NUL in a trailer", "RFC 9110 5.5", chunked!("3\r\nabc\r\n0\r\nX: \0\r\n\r\n"), CutShort(400)),
    case("LF in a trailer", "RFC 9112 2.2", chunked!("3\r\nabc\r\n0\r\nX: 1\nY: 2\r\n\r\n"), CutShort(400)),
    case(
        "framing and routing in trailers",
        "RFC 9110 6.5.1",
        chunked!(
            "3\r\nabc\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: b\r\nTE: x\r\nX: 1\r\nConnection: X\r\n\r\n"
        ),
        Passed(&[seen!("abcX: 1\r\n")]),
    ),
    case(
        "Weft's own fields in trailers",
        "docs/mesh-transport.md, Lines",
        chunked!("3\r\nabc\r\n0\r\nweft-client-identity: x\r\nWeft_Client_Identity: x\r\nX: 1\r\n\r\n"),
        Passed(&[seen!("abcX: 1\r\n")]),
    ),
    case(
        "extensions are dropped",
        "RFC 9112 7.1.1: an unrecognized one is ignored",
        chunked!("3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"),
        Passed(&[seen!("abc")]),
    ),
    case(
        "sizes with zeros, in either case",
        "RFC 9112 7.1",
        chunked!("000A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n"),
        Passed(&[seen!("01234567890123456789")]),
    ),
    case(
        "the next request right after the last chunk",
        "RFC 9112 9.3.2",
        chunked!("3\r\nabc\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"),
        Passed(&[seen!("abc"), "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
];
