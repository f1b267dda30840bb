//! What looks odd and is good: it goes on, in a form that has one meaning.

use super::{Becomes::Passed, Case, case};

pub(super) const CASES: &[Case] = &[
    case(
        "the target's authority counts",
        "RFC 9112 3.2.2",
        b"GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
        Passed(&["GET http://b:80/x?y HTTP/1.1\r\nHost: b:80\r\nX: 1\r\n\r\n"]),
    ),
    case(
        "the asterisk form",
        "RFC 9112 3.2.4",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
    case(
        "HTTP/1.0 closes",
        "RFC 9112 9.3",
        b"GET /old HTTP/1.0\r\n\r\n",
        Passed(&["GET /old HTTP/1.0\r\n\r\n"]),
    ),
    case(
        "HTTP/1.0 that wants to go on",
        "RFC 9112 9.3",
        b"GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        Passed(&["GET /old HTTP/1.0\r\nHost: a\r\n\r\n"]),
    ),
    case(
        "requests one after the other",
        "RFC 9112 9.3.2",
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&[
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /2 HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\n\r\nabc",
            "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        ]),
    ),
    case(
        "nothing after the client has said close",
        "RFC 9112 9.6",
        b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&["GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
    case(
        "a method that nobody knows",
        "RFC 9110 9.1",
        b"get-some! / HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&["get-some! / HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
];
