//! Request lines, targets and hosts.

use super::{Becomes::Refused, Case, case};

/// A request with this line and a Host.
macro_rules! line {
    ($line:literal) => {
        concat!($line, "\r\nHost: a\r\n\r\n").as_bytes()
    };
}

/// A GET with this as its only lines.
macro_rules! host {
    ($lines:literal) => {
        concat!("GET / HTTP/1.1\r\n", $lines, "\r\n").as_bytes()
    };
}

pub(super) const CASES: &[Case] = &[
    case("two spaces after the method", "RFC 9112 3", line!("GET  / HTTP/1.1"), Refused(400)),
    case("two spaces after the target", "RFC 9112 3", line!("GET /  HTTP/1.1"), Refused(400)),
    case("a space after the version", "RFC 9112 3", line!("GET / HTTP/1.1 "), Refused(400)),
    case("a space before the method", "RFC 9112 3", line!(" GET / HTTP/1.1"), Refused(400)),
    case("tabs for spaces", "RFC 9112 3: may be taken, and are not", line!("GET\t/\tHTTP/1.1"), Refused(400)),
    case(
        "a target of two words",
        "RFC 9112 3.2: should be answered with 400",
        line!("GET /a b HTTP/1.1"),
        Refused(400),
    ),
    case("a version in the target", "RFC 9112 3.2; Kettle 2021", line!("GET / HTTP/1.1 HTTP/1.1"), Refused(400)),
    case("a method that is no token", "RFC 9110 9.1", line!("G(T / HTTP/1.1"), Refused(400)),
    case("a method with NUL", "RFC 9110 9.1", line!("GET\0 / HTTP/1.1"), Refused(400)),
    case("HTTP/1.2", "RFC 9112 2.3", line!("GET / HTTP/1.2"), Refused(400)),
    case("HTTP/2.0 in HTTP/1.1", "RFC 9113 3.1", line!("GET / HTTP/2.0"), Refused(400)),
    case("HTTP/01.1", "RFC 9112 2.3", line!("GET / HTTP/01.1"), Refused(400)),
    case("http in small letters", "RFC 9112 2.3: case-sensitive", line!("GET / http/1.1"), Refused(400)),
    case("HTTP/0.9", "RFC 9112 2.3; Kettle 2022", b"GET /\r\n\r\n", Refused(400)),
    case("a fragment", "RFC 9112 3.2.1", line!("GET /a#b HTTP/1.1"), Refused(400)),
    case("DEL in the target", "RFC 9112 3.2", line!("GET /a\x7f HTTP/1.1"), Refused(400)),
    case("NUL in the target", "RFC 9112 3.2", line!("GET /a\0b HTTP/1.1"), Refused(400)),
    case("the asterisk form with GET", "RFC 9112 3.2.4", line!("GET * HTTP/1.1"), Refused(400)),
    case("two asterisks", "RFC 9112 3.2.4", line!("OPTIONS ** HTTP/1.1"), Refused(400)),
    case("a name for a target", "RFC 9112 3.2", line!("GET a HTTP/1.1"), Refused(400)),
    case("the authority form with GET", "RFC 9112 3.2.3", line!("GET a:80 HTTP/1.1"), Refused(400)),
    case("a query for a target", "RFC 9112 3.2", line!("GET ?q HTTP/1.1"), Refused(400)),
    case("another scheme", "RFC 9112 3.2.2", line!("GET ftp://a/ HTTP/1.1"), Refused(400)),
    case("a scheme of a script", "RFC 9112 3.2.2", line!("GET javascript:x HTTP/1.1"), Refused(400)),
    case("the absolute form without a host", "RFC 9110 4.2.1", line!("GET http:///a HTTP/1.1"), Refused(400)),
    case("userinfo in the target", "RFC 9110 4.2.4", line!("GET http://u@a/ HTTP/1.1"), Refused(400)),
    case("CONNECT to a path", "RFC 9112 3.2.3", line!("CONNECT / HTTP/1.1"), Refused(400)),
    case("CONNECT without a port", "RFC 9112 3.2.3", line!("CONNECT a HTTP/1.1"), Refused(400)),
    case("CONNECT with an empty port", "RFC 9112 3.2.3", line!("CONNECT a: HTTP/1.1"), Refused(400)),
    case("CONNECT to a port alone", "RFC 9112 3.2.3", line!("CONNECT :80 HTTP/1.1"), Refused(400)),
    case("CONNECT in the absolute form", "RFC 9112 3.2.3", line!("CONNECT http://a:80/ HTTP/1.1"), Refused(400)),
    case("CONNECT with a path", "RFC 9112 3.2.3", line!("CONNECT a:80/x HTTP/1.1"), Refused(400)),
    case("no Host", "RFC 9112 3.2", host!(""), Refused(400)),
    case("the absolute form and no Host", "RFC 9112 3.2", b"GET http://a/ HTTP/1.1\r\n\r\n", Refused(400)),
    case("Host twice", "RFC 9112 3.2", host!("Host: a\r\nHost: a\r\n"), Refused(400)),
    case("two hosts", "RFC 9112 3.2; Kettle 2021", host!("Host: a\r\nhost: b\r\n"), Refused(400)),
    case("two hosts in HTTP/1.0", "RFC 9112 3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
    case("a space in Host", "RFC 9110 7.2", host!("Host: a b\r\n"), Refused(400)),
    case("a list in Host", "RFC 9110 7.2", host!("Host: a, b\r\n"), Refused(400)),
    case("userinfo in Host", "RFC 9110 7.2", host!("Host: u@a\r\n"), Refused(400)),
    case("a path in Host", "RFC 9110 7.2; Kettle 2021", host!("Host: a/b\r\n"), Refused(400)),
    case("a port that is none", "RFC 9110 7.2", host!("Host: a:b\r\n"), Refused(400)),
    case("two ports", "RFC 9110 7.2", host!("Host: a:80:80\r\n"), Refused(400)),
    case("a bracket that stays open", "RFC 3986 3.2.2", host!("Host: [::1\r\n"), Refused(400)),
    case("bytes after a bracket", "RFC 3986 3.2.2", host!("Host: [::1]x\r\n"), Refused(400)),
    case("a host beyond ASCII", "RFC 3986 3.2.2", host!("Host: \u{e9}\r\n"), Refused(400)),
    case("a space before Host's colon", "RFC 9112 5.1; Kettle 2025", host!("Host : a\r\n"), Refused(400)),
];
