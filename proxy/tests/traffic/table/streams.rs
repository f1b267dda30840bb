//! Where a hostile peer's streams lead, how its bodies end, and frames that are none of any stream's.

use super::peer::{
    ACCEPT, CHUNKED, CREDIT, END, Fate, GOAWAY, HTTP1, NONE, OPEN, PING, PeerCase, RESET, TRAILERS, case, data, frame,
    get, head, open, payload, request, trailers,
};

pub(super) const CASES: &[PeerCase] = &[
    // Where a stream may lead.
    case("the outbound port", "OPEN; code 4", |_| get(4140, b"Host: a\r\n"), Fate::Refused(4)),
    case("the mesh port", "OPEN; code 4", |_| get(4143, b"Host: a\r\n"), Fate::Refused(4)),
    case("the tap's port", "OPEN; code 4", |_| get(4190, b"Host: a\r\n"), Fate::Refused(4)),
    case("the admin port", "OPEN; code 4", |_| get(4191, b"Host: a\r\n"), Fate::Refused(4)),
    case(
        "the admin port, as bytes",
        "OPEN; code 4",
        |_| [open(1, 3, 4191), data(1, END, b"GET /shutdown HTTP/1.1\r\n\r\n")].concat(),
        Fate::Refused(4),
    ),
    case("port 0", "OPEN; code 7", |_| get(0, b"Host: a\r\n"), Fate::Refused(7)),
    case("a port where nobody listens", "OPEN; code 7", |_| get(1, b"Host: a\r\n"), Fate::Refused(7)),
    case(
        "another pod's address",
        "OPEN, target: says which pod is meant, and leads nowhere else",
        |port| {
            let open = frame(OPEN, 0, 1, &[&[HTTP1][..], &port.to_be_bytes(), &[3, 0, 4, 192, 0, 2, 1]].concat());
            [open, head(1, END, &payload((11, 0, NONE), (b"GET", b"/"), b"Host: a\r\n"))].concat()
        },
        Fate::Passed("GET / HTTP/1.1\r\nHost: a\r\n"),
    ),
    case(
        "bytes to a port that is declared to speak HTTP",
        "OPEN; code 10: fields of Weft's own would go in unseen",
        |port| {
            [open(1, 3, port), data(1, END, b"GET /smuggled HTTP/1.1\r\nHost: a\r\nweft-client-identity: x\r\n\r\n")]
                .concat()
        },
        Fate::Refused(10),
    ),
    case(
        "undecided bytes to a port that is declared to speak HTTP",
        "OPEN; code 10",
        |port| {
            [open(1, 0, port), data(1, END, b"GET /smuggled HTTP/1.1\r\nHost: a\r\nweft-client-identity: x\r\n\r\n")]
                .concat()
        },
        Fate::Refused(10),
    ),
    case("an unknown protocol", "OPEN; code 10", |port| open(1, 9, port), Fate::Refused(10)),
    case(
        "an unknown field that must be understood",
        "OPEN; code 10",
        |port| frame(OPEN, 0, 1, &[&[HTTP1][..], &port.to_be_bytes(), &[0x80, 0, 0]].concat()),
        Fate::Refused(10),
    ),
    case("OPEN that is cut short", "OPEN", |_| frame(OPEN, 0, 1, &[HTTP1]), Fate::LinkEnds),
    case(
        "a field beyond OPEN's end",
        "OPEN",
        |port| frame(OPEN, 0, 1, &[&[HTTP1][..], &port.to_be_bytes(), &[1, 0, 9]].concat()),
        Fate::LinkEnds,
    ),
    // Bodies.
    case(
        "less than the length",
        "What a receiver does; code 4",
        |port| [request(port, (1, 5), b"Host: a\r\n", 0), data(1, END, b"abc")].concat(),
        Fate::Reset(4),
    ),
    case(
        "the end without the length",
        "What a receiver does; code 4",
        |port| request(port, (1, 5), b"Host: a\r\n", END),
        Fate::Reset(4),
    ),
    case(
        "more than the length",
        "What a receiver does; code 4",
        |port| {
            [request(port, (1, 3), b"Host: a\r\n", 0), data(1, END, b"abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]
                .concat()
        },
        Fate::Gone,
    ),
    case(
        "a body without framing",
        "What a receiver does; code 4",
        |port| {
            [request(port, NONE, b"Host: a\r\n", 0), data(1, END, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]
                .concat()
        },
        Fate::Gone,
    ),
    case(
        "trailers in place of the length",
        "A stream",
        |port| [request(port, (1, 5), b"Host: a\r\n", 0), frame(TRAILERS, END, 1, b"X: 1\r\n")].concat(),
        Fate::Reset(4),
    ),
    case(
        "a second head",
        "A stream; code 4",
        |port| {
            let again = head(1, END, &payload((11, 0, NONE), (b"GET", b"/smuggled"), b"Host: a\r\n"));
            [request(port, CHUNKED, b"Host: a\r\n", 0), again].concat()
        },
        Fate::Reset(4),
    ),
    case(
        "DATA before the head",
        "A stream; code 4",
        |port| [open(1, HTTP1, port), data(1, END, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")].concat(),
        Fate::Gone,
    ),
    case(
        "TRAILERS before the head",
        "A stream; code 4",
        |port| [open(1, HTTP1, port), frame(TRAILERS, END, 1, b"X: 1\r\n")].concat(),
        Fate::Gone,
    ),
    case("a trailer with LF", "Lines", |port| trailers(port, b"X: 1\nY: 2\r\n"), Fate::Reset(4)),
    case("a trailer without its end", "Lines", |port| trailers(port, b"X: 1"), Fate::Reset(4)),
    case(
        "a blank line in trailers",
        "Lines",
        |port| trailers(port, b"\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        Fate::Reset(4),
    ),
    case(
        "a chunk's size as data",
        "Lines",
        |port| {
            [request(port, CHUNKED, b"Host: a\r\n", 0), data(1, END, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")]
                .concat()
        },
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
    ),
    // Frames.
    case("a frame that is too long", "Frames", |_| vec![0x7f, 0xff, 0xff, 0xff], Fate::LinkEnds),
    case("DATA of stream 0", "A stream", |_| data(0, 0, b"abc"), Fate::LinkEnds),
    case("HEAD of stream 0", "A stream", |_| head(0, 0, b"abc"), Fate::LinkEnds),
    case("DATA of a stream that nobody opened", "A stream", |_| data(7, 0, b"abc"), Fate::LinkEnds),
    case(
        "HEAD after the end",
        "A stream",
        |port| [request(port, (1, 5), b"Host: a\r\n", END), head(1, 0, b"abc")].concat(),
        Fate::LinkEnds,
    ),
    case("an id that was used", "Frames", |port| [open(3, HTTP1, port), open(1, HTTP1, port)].concat(), Fate::LinkEnds),
    case("an id of the acceptor's", "Frames", |port| open(0x8000_0001, HTTP1, port), Fate::LinkEnds),
    case(
        "ACCEPT by the opener",
        "A stream",
        |port| [open(1, HTTP1, port), frame(ACCEPT, 0, 1, b"")].concat(),
        Fate::LinkEnds,
    ),
    case(
        "CREDIT beyond 31 bits",
        "Credit",
        |_| [frame(CREDIT, 0, 0, &[0x7f, 255, 255, 255]), frame(CREDIT, 0, 0, &[0x7f, 255, 255, 255])].concat(),
        Fate::LinkEnds,
    ),
    case("a PING that is cut short", "What is not known", |_| frame(PING, 0, 0, b"abc"), Fate::LinkEnds),
    case("a kind that must be understood", "What is not known", |_| frame(200, 0, 0, b""), Fate::LinkEnds),
    case(
        "such a kind on a stream",
        "What is not known; code 9",
        |port| [request(port, CHUNKED, b"Host: a\r\n", 0), frame(200, 0, 1, b"")].concat(),
        Fate::Reset(9),
    ),
    case(
        "a kind that may be skipped",
        "What is not known",
        |port| [frame(100, 0xff, 0, b"abc"), get(port, b"Host: a\r\n"), frame(100, 0, 1, b"")].concat(),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n"),
    ),
    // Floods.
    case(
        "a flood of PINGs",
        "PING; CVE-2019-9512",
        |port| [frame(PING, 0, 0, &[0; 8]).repeat(10_000), get(port, b"Host: a\r\n")].concat(),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n"),
    ),
    case(
        "a flood of empty DATA",
        "Credit; CVE-2019-9518",
        |port| {
            [request(port, CHUNKED, b"Host: a\r\n", 0), data(1, 0, b"").repeat(10_000), data(1, END, b"abc")].concat()
        },
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\nabc"),
    ),
    case(
        "a flood of small CREDIT",
        "Credit; CVE-2019-9517",
        |port| [frame(CREDIT, 0, 0, &[0, 0, 0, 1]).repeat(10_000), get(port, b"Host: a\r\n")].concat(),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n"),
    ),
    case(
        "rapid reset",
        "RESET; CVE-2023-44487",
        |_| (3..2003).flat_map(|stream| [open(stream, HTTP1, 1), frame(RESET, 0, stream, &[0, 1])].concat()).collect(),
        Fate::Gone,
    ),
    case(
        "heads without an end",
        "What a peer may make us hold; CVE-2024-27316 is of this kind",
        |port| [open(1, HTTP1, port), head(1, 2, &[0; 60 << 10]).repeat(6)].concat(),
        Fate::Malformed,
    ),
    case("GOAWAY and nothing more", "GOAWAY", |_| frame(GOAWAY, 0, 0, &[0; 4]), Fate::LinkEnds),
];
