use super::*;
use crate::{
    error::Reason,
    http::{Flaw, Prefix, RequestPrefix, ResponsePrefix, flag},
};

#[test]
fn a_request_that_is_refused_leaves_nothing_behind() {
    // Which are: tests/traffic/table.
    let mut out = b"before".to_vec();
    let input = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nHost: b\r\n\r\n";
    let error = read_request(input, &Limits::default(), &mut out).unwrap_err();
    assert_eq!((error.reason(), &out[..]), (Reason::MalformedRequest, &b"before"[..]));
}

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n X: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: 1\nY: 2\r\n\r\n",
    "HTTP/1.1 200 OK\nX: 1\r\n\r\n",
    "HTTP/1.1 200\n\r\n",
    "HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 99 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "200 OK\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", // nobody asked
];

#[test]
fn a_malformed_or_ambiguous_response_is_refused() {
    for input in RESPONSES {
        let mut out = b"before".to_vec();
        let error = read_response(input.as_bytes(), &TO_GET, &Limits::default(), &mut out).expect_err(input);
        assert_eq!((error.reason(), &out[..]), (Reason::MalformedResponse, &b"before"[..]), "{input:?}");
    }
}

#[test]
fn a_switch_needs_upgrade_named_and_asked_for() {
    let asked = AnswerTo { upgrade: true, ..TO_GET };
    let fine = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    assert!(response(fine, &asked).unwrap().0.switched);
    assert!(response(fine, &AnswerTo { is_connect: true, ..asked }).is_err());
    for input in ["HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n"] {
        assert_eq!(response(input.as_bytes(), &asked).unwrap_err(), HeadError::Response(Flaw::Upgrade));
    }
}

#[test]
fn a_head_beyond_the_limits_is_refused_as_soon_as_that_is_known() {
    let limits = Limits { head_bytes: 64, ..Limits::default() };
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64));
    let malformed_behind = format!("GET /{}\r\n\r\n", "x".repeat(64));
    for input in [&long[..], &long[..64], &malformed_behind, &malformed_behind[..64]] {
        let error = read_request(input.as_bytes(), &limits, &mut Vec::new()).unwrap_err();
        assert_eq!(error.reason(), Reason::HeadTooLarge);
    }
    assert_eq!(read_request(&long.as_bytes()[..63], &limits, &mut Vec::new()), Ok(None));
    for (fields, fits) in [(99, true), (100, false), (2000, false)] {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(fields));
        assert_eq!(request(input.as_bytes()).is_ok(), fits, "{fields}");
    }
    let few = Limits { fields: 2, ..Limits::default() };
    assert!(read_request(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 1\r\n\r\n", &few, &mut Vec::new()).is_err());
    let long = format!("HTTP/1.1 200 {}", "x".repeat(70_000));
    let error = read_response(long.as_bytes(), &TO_GET, &Limits::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.reason(), Reason::MalformedResponse);
}

/// A request's payload as a hostile peer might make it.
fn hostile_request(method: &str, target: &str, lines: &str, prefix: Prefix) -> Vec<u8> {
    let (method_length, target_length) = (method.len() as u8, target.len() as u16);
    let prefix = RequestPrefix { prefix, scheme: None, method: method_length, target: target_length };
    [&prefix.bytes()[..], method.as_bytes(), target.as_bytes(), lines.as_bytes()].concat()
}

const PLAIN: Prefix = Prefix { version: Version::Http11, framing: Framing::None, flags: 0 };

#[test]
fn a_hostile_request_payload_is_refused() {
    let fine = "host: a\r\n";
    let cases: &[(&str, &str, &str, Prefix)] = &[
        ("GET / HTTP/1.1\r\nx:", "/", fine, PLAIN),
        ("GET\r\n", "/", fine, PLAIN),
        ("\r\nGET", "/", fine, PLAIN),
        ("G T", "/", fine, PLAIN),
        ("GET", "/ HTTP/1.1\r\nhost: b\r\n\r\nGET /", fine, PLAIN),
        ("GET", "/ x", fine, PLAIN),
        ("GET", "", fine, PLAIN),
        ("GET", "*", fine, PLAIN),
        ("CONNECT", "/", fine, PLAIN),
        ("CONNECT", "a:80", fine, Prefix { framing: Framing::Length(5), ..PLAIN }),
        ("GET", "/", "", PLAIN),
        ("GET", "/", "host: a\r\nhost: a\r\n", PLAIN),
        ("GET", "/", "host: a b\r\n", PLAIN),
        ("GET", "/", "host: a", PLAIN),
        ("GET", "/", "host: a\r\nx: y", PLAIN),
        ("GET", "/", "host: a\r\nx: y\r", PLAIN),
        ("GET", "/", "host: a\r\nx: y\n", PLAIN),
        ("GET", "/", "host: a\nx: y\r\n", PLAIN),
        ("GET", "/", "host: a\r\nx: y\rz: 1\r\n", PLAIN),
        ("GET", "/", "host: a\r\nx: \0\r\n", PLAIN),
        ("GET", "/", "host: a\r\nx : y\r\n", PLAIN),
        ("GET", "/", "host: a\r\n x: y\r\n", PLAIN),
        ("GET", "/", "host: a\r\nx\r\n", PLAIN),
        ("GET", "/", "host: a\r\n\r\n", PLAIN),
        ("GET", "/", "\r\nhost: a\r\n", PLAIN),
        ("GET", "/", "host: a\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n", PLAIN),
        ("GET", "/", "host: a\r\nContent-Length: 5\r\n", PLAIN),
        ("GET", "/", "host: a\r\ncontent-length: 5\r\n", Prefix { framing: Framing::Length(5), ..PLAIN }),
        ("GET", "/", "host: a\r\ntransfer-encoding: chunked\r\n", PLAIN),
        ("GET", "/", "host: a\r\nconnection: close\r\n", PLAIN),
        ("GET", "/", "host: a\r\nkeep-alive: 5\r\n", PLAIN),
        ("GET", "/", "host: a\r\nproxy-connection: close\r\n", PLAIN),
        ("GET", "/", "host: a\r\nte: gzip\r\n", PLAIN),
        ("GET", "/", "host: a\r\nte: trailers, gzip\r\n", PLAIN),
        ("GET", "/", "host: a\r\nupgrade: websocket\r\n", PLAIN),
        ("GET", "/", "host: a\r\nupgrade: h2c\r\n", Prefix { flags: flag::UPGRADE, ..PLAIN }),
        ("GET", "/", fine, Prefix { flags: flag::UPGRADE, ..PLAIN }),
        ("GET", "/", fine, Prefix { flags: 0x80, ..PLAIN }),
        ("GET", "/", fine, Prefix { framing: Framing::UntilClose, ..PLAIN }),
        ("GET", "/", fine, Prefix { version: Version::Http10, framing: Framing::Chunked, ..PLAIN }),
        ("GET", "/", fine, Prefix { framing: Framing::Length(u64::MAX), ..PLAIN }),
    ];
    for (method, target, lines, prefix) in cases {
        let payload = hostile_request(method, target, lines, *prefix);
        let mut out = b"before".to_vec();
        let error = write_request(&payload, &[], &mut out).expect_err(&format!("{method} {target} {lines:?}"));
        assert_eq!((error.reason(), &out[..]), (Reason::MalformedRequest, &b"before"[..]));
    }
    let mut out = Vec::new();
    assert!(write_request(&hostile_request("GET", "/", fine, PLAIN), &[], &mut out).is_ok());
    assert!(write_request(&hostile_request("GET", "/", fine, PLAIN), &[("x", b"a\r\nb: c")], &mut out).is_err());
}

#[test]
fn a_hostile_response_payload_is_refused() {
    let cases: &[(u16, &str, &str, Prefix)] = &[
        (99, "", "", PLAIN),
        (1000, "", "", PLAIN),
        (200, "OK\r\nx: y", "", PLAIN),
        (200, "O\nK", "", PLAIN),
        (200, "O\0K", "", PLAIN),
        (200, "", "x: y", PLAIN),
        (200, "", "x: y\n", PLAIN),
        (200, "", "x: y\r\n\r\n", PLAIN),
        (200, "", "x: y\r\n\r\nHTTP/1.1 200 OK\r\n", PLAIN),
        (200, "", "x : y\r\n", PLAIN),
        (200, "", "content-length: 5\r\n", PLAIN),
        (200, "", "transfer-encoding: chunked\r\n", PLAIN),
        (200, "", "connection: upgrade\r\n", PLAIN),
        (200, "", "upgrade: websocket\r\n", PLAIN),
        (200, "", "upgrade: websocket\r\n", Prefix { flags: flag::UPGRADE, ..PLAIN }),
        (101, "", "upgrade: websocket\r\n", Prefix { flags: flag::UPGRADE, ..PLAIN }),
        (204, "", "", Prefix { framing: Framing::Length(5), ..PLAIN }),
        (100, "", "", Prefix { framing: Framing::Chunked, ..PLAIN }),
        (200, "", "", Prefix { version: Version::Http10, framing: Framing::Chunked, ..PLAIN }),
        (200, "", "", Prefix { flags: 0x10, ..PLAIN }),
    ];
    for (status, reason, lines, prefix) in cases {
        let prefix = ResponsePrefix { prefix: *prefix, status: *status, reason: reason.len() as u16 };
        let payload = [&prefix.bytes()[..], reason.as_bytes(), lines.as_bytes()].concat();
        let mut out = b"before".to_vec();
        let how = WriteResponse { answer_to: TO_GET, close: false, from_peer_proxy: true };
        let error = write_response(&payload, &how, &mut out).expect_err(&format!("{status} {reason:?} {lines:?}"));
        assert_eq!((error.reason(), &out[..]), (Reason::MalformedResponse, &b"before"[..]));
    }
}
