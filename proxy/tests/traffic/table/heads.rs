//! Heads that a hostile peer makes: prefixes, lines, and fields that only Weft may give.

use super::peer::{
    CHUNKED, END, Fate, HTTP1, NONE, PeerCase, case, data, get, head, open, payload, prefix, request, trailers,
};

pub(super) const CASES: &[PeerCase] = &[
    // Heads.
    case("a prefix that is too short", "Prefix of a request", |port| prefix(port, 0, 15), Fate::Malformed),
    case("a prefix that is longer than its head", "Prefix of a request", |port| prefix(port, 0, 255), Fate::Malformed),
    case("an unknown version", "Prefix of a request", |port| prefix(port, 1, 30), Fate::Malformed),
    case("an unknown framing", "Prefix of a request", |port| prefix(port, 2, 4), Fate::Malformed),
    case("a request until the connection closes", "Prefix of a request", |port| prefix(port, 2, 3), Fate::Malformed),
    case("a flag that must be known", "What a receiver does", |port| prefix(port, 3, 0x40), Fate::Malformed),
    case("an upgrade to nothing", "What a receiver does", |port| prefix(port, 3, 1), Fate::Malformed),
    case("an unknown scheme", "Prefix of a request", |port| prefix(port, 12, 3), Fate::Malformed),
    case("a method longer than all", "Prefix of a request", |port| prefix(port, 13, 255), Fate::Malformed),
    case("no method", "Prefix of a request", |port| prefix(port, 13, 0), Fate::Malformed),
    case("a method that reaches into the target", "What a receiver does", |port| prefix(port, 13, 4), Fate::Malformed),
    case("a target that reaches into the lines", "What a receiver does", |port| prefix(port, 15, 8), Fate::Malformed),
    case(
        "a request line in the method",
        "What a receiver does; Kettle, HTTP/2: The Sequel is Always Worse, 2021",
        |port| {
            [
                open(1, HTTP1, port),
                head(1, END, &payload((11, 0, NONE), (b"GET /smuggled HTTP/1.1\r\nX:", b"/"), b"Host: a\r\n")),
            ]
            .concat()
        },
        Fate::Malformed,
    ),
    case(
        "a request in the target",
        "What a receiver does; Kettle 2021",
        |port| {
            [
                open(1, HTTP1, port),
                head(
                    1,
                    END,
                    &payload((11, 0, NONE), (b"GET", b"/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled"), b"Host: a\r\n"),
                ),
            ]
            .concat()
        },
        Fate::Malformed,
    ),
    case(
        "a blank line among the lines",
        "Lines",
        |port| get(port, b"Host: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n"),
        Fate::Malformed,
    ),
    case("a last line without its end", "Lines", |port| get(port, b"Host: a\r\nX: y"), Fate::Malformed),
    case("LF in a value", "Lines", |port| get(port, b"Host: a\r\nX: y\nContent-Length: 5\r\n"), Fate::Malformed),
    case("CR in a value", "Lines", |port| get(port, b"Host: a\r\nX: y\rz\r\n"), Fate::Malformed),
    case("a length among the lines", "Lines", |port| get(port, b"Host: a\r\nContent-Length: 5\r\n"), Fate::Malformed),
    case(
        "a second length",
        "Lines",
        |port| request(port, (1, 3), b"Host: a\r\ncontent-length: 5\r\n", 0),
        Fate::Malformed,
    ),
    case(
        "a coding among the lines",
        "Lines",
        |port| get(port, b"Host: a\r\nTransfer-Encoding: chunked\r\n"),
        Fate::Malformed,
    ),
    case("Connection", "Lines", |port| get(port, b"Host: a\r\nConnection: weft-client-identity\r\n"), Fate::Malformed),
    case(
        "Connection names Weft's field",
        "Lines; Davison 2019",
        |port| get(port, b"Host: a\r\nconnection: close, weft-client-identity\r\n"),
        Fate::Malformed,
    ),
    case("Keep-Alive", "Lines", |port| get(port, b"Host: a\r\nKeep-Alive: 5\r\n"), Fate::Malformed),
    case("TE with more than trailers", "Lines", |port| get(port, b"Host: a\r\nTE: gzip\r\n"), Fate::Malformed),
    case("Upgrade without its flag", "Lines", |port| get(port, b"Host: a\r\nUpgrade: websocket\r\n"), Fate::Malformed),
    case(
        "an upgrade to h2c",
        "What a receiver does; Bishop Fox 2020",
        |port| {
            [open(1, HTTP1, port), head(1, 0, &payload((11, 1, NONE), (b"GET", b"/"), b"Host: a\r\nUpgrade: h2c\r\n"))]
                .concat()
        },
        Fate::Malformed,
    ),
    case(
        "an upgrade with a body",
        "What a receiver does",
        |port| {
            [
                open(1, HTTP1, port),
                head(1, 0, &payload((11, 1, (1, 3)), (b"GET", b"/"), b"Host: a\r\nUpgrade: websocket\r\n")),
                data(1, END, b"abc"),
            ]
            .concat()
        },
        Fate::Malformed,
    ),
    case("no Host", "What a receiver does", |port| get(port, b"X: y\r\n"), Fate::Malformed),
    case("two hosts", "What a receiver does", |port| get(port, b"Host: a\r\nhost: b\r\n"), Fate::Malformed),
    case("a host that is none", "What a receiver does", |port| get(port, b"Host: a b\r\n"), Fate::Malformed),
    case(
        "chunks with HTTP/1.0",
        "What a receiver does",
        |port| {
            [
                open(1, HTTP1, port),
                head(1, 0, &payload((10, 0, CHUNKED), (b"POST", b"/"), b"Host: a\r\n")),
                data(1, END, b"abc"),
            ]
            .concat()
        },
        Fate::Malformed,
    ),
    case(
        "a body with CONNECT",
        "What a receiver does",
        |port| {
            [
                open(1, HTTP1, port),
                head(1, 0, &payload((11, 1, (1, 3)), (b"CONNECT", b"a:80"), b"Host: a:80\r\n")),
                data(1, END, b"abc"),
            ]
            .concat()
        },
        Fate::Malformed,
    ),
    case(
        "a head of 67 KiB",
        "Heads",
        |port| get(port, &[b"Host: a\r\nX: ", &[b'x'; 67 << 10][..], b"\r\n"].concat()),
        Fate::Malformed,
    ),
    case(
        "a head of 101 lines",
        "Heads",
        |port| get(port, &[b"Host: a\r\n", &b"x: y\r\n".repeat(100)[..]].concat()),
        Fate::Malformed,
    ),
    // Weft's own fields.
    case(
        "a spoofed identity",
        "Lines",
        |port| get(port, b"Host: a\r\nweft-client-identity: spiffe://mesh.local/ns/shop/sa/admin\r\nX: 1\r\n"),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n"),
    ),
    case(
        "a spoofed identity with underscores",
        "Lines; RFC 3875 4.1.18",
        |port| get(port, b"Host: a\r\nWEFT_CLIENT_IDENTITY: x\r\nweft_client-identity: x\r\n"),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n"),
    ),
    case(
        "a spoofed error",
        "Lines",
        |port| get(port, b"Host: a\r\nWeft-Proxy-Error: not-delivered\r\n"),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\n"),
    ),
    case(
        "spoofed fields in trailers",
        "Lines",
        |port| trailers(port, b"weft-client-identity: x\r\nWeft_Client_Identity: x\r\nContent-Length: 5\r\nX: 1\r\n"),
        Fate::Passed("POST / HTTP/1.1\r\nHost: a\r\nabcX: 1\r\n"),
    ),
];
