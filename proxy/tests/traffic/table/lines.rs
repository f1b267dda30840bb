//! Lines: their ends, their bytes, names and colons.

use super::{
    Becomes::{Passed, Refused},
    Case, case,
};

/// A GET with this after its Host line.
macro_rules! get {
    ($rest:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: a\r\n", $rest).as_bytes()
    };
}

/// The same, followed by what an attacker wants to smuggle.
macro_rules! post {
    ($rest:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\n", $rest, "\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            .as_bytes()
    };
}

pub(super) const CASES: &[Case] = &[
    case("space before the colon", "RFC 9112 5.1; Kettle 2019", post!("Transfer-Encoding : chunked"), Refused(400)),
    case("tab before the colon", "RFC 9112 5.1", post!("Transfer-Encoding\t: chunked"), Refused(400)),
    case("LF before the colon", "Kettle 2019", post!("Transfer-Encoding\n: chunked"), Refused(400)),
    case("space before the name", "RFC 9112 5.2; Kettle 2019", post!(" Transfer-Encoding: chunked"), Refused(400)),
    case("a coding on a folded line", "RFC 9112 5.2", post!("Transfer-Encoding:\r\n chunked"), Refused(400)),
    case("a coding after a bare LF", "RFC 9112 2.2; Kettle 2019", post!("X: x\nTransfer-Encoding: chunked"), Refused(400)),
    case("a coding after a bare CR", "RFC 9112 2.2; Klein 2020", post!("X: x\rTransfer-Encoding: chunked"), Refused(400)),
    case("a coding after NUL", "RFC 9110 5.5; Grenfeldt et al. 2021", post!("X: x\0Transfer-Encoding: chunked"), Refused(400)),
    case("NUL in a coding's name", "RFC 9110 5.1", post!("Transfer-Encoding\0: chunked"), Refused(400)),
    case("a name in other letters", "RFC 9110 5.1; Grenfeldt et al. 2021", post!("Tran\u{17f}fer-Encoding: chunked"), Refused(400)),
    case("obs-fold with a space", "RFC 9112 5.2", get!("X: 1\r\n folded\r\n\r\n"), Refused(400)),
    case("obs-fold with a tab", "RFC 9112 5.2", get!("X: 1\r\n\tfolded\r\n\r\n"), Refused(400)),
    case(
        "obs-fold of Expect with OPTIONS",
        "CVE-2025-32094",
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        Refused(400),
    ),
    case(
        "the first field folded",
        "RFC 9112 2.2; Kettle 2025",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        Refused(400),
    ),
    case("a line without a colon", "RFC 9112 5", get!("X\r\n\r\n"), Refused(400)),
    case("a field without a name", "RFC 9112 5; CVE-2021-40346", get!(": 1\r\n\r\n"), Refused(400)),
    case("a name with a space", "RFC 9110 5.1", get!("X Y: 1\r\n\r\n"), Refused(400)),
    case("a name with a delimiter", "RFC 9110 5.6.2", get!("X(Y): 1\r\n\r\n"), Refused(400)),
    case("a name with a slash", "RFC 9110 5.6.2", get!("X/Y: 1\r\n\r\n"), Refused(400)),
    case("a pseudo-header in HTTP/1.1", "RFC 9113 8.3", get!(":authority: b\r\n\r\n"), Refused(400)),
    case("a name beyond ASCII", "RFC 9110 5.1", get!("X\u{e9}: 1\r\n\r\n"), Refused(400)),
    case("NUL in a value", "RFC 9110 5.5", get!("X: 1\0\r\n\r\n"), Refused(400)),
    case("DEL in a value", "RFC 9110 5.5", get!("X: \x7f\r\n\r\n"), Refused(400)),
    case("ESC in a value", "RFC 9110 5.5", get!("X: \x1b[2J\r\n\r\n"), Refused(400)),
    case("vertical tab in a value", "RFC 9110 5.5", get!("X: \x0b1\r\n\r\n"), Refused(400)),
    case("CR in a value", "RFC 9110 5.5", get!("X: 1\rY: 2\r\n\r\n"), Refused(400)),
    case("CR at a value's end", "RFC 9112 2.2; Klein 2020", get!("X: 1\r\r\n\r\n"), Refused(400)),
    case("LF in a value", "RFC 9110 5.5", get!("X: 1\nY: 2\r\n\r\n"), Refused(400)),
    case(
        "LF after the request line",
        "RFC 9112 2.2: may be taken, and is not",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        Refused(400),
    ),
    case("LF after a field", "RFC 9112 2.2", b"GET / HTTP/1.1\r\nHost: a\n\r\n", Refused(400)),
    case("LF at the head's end", "RFC 9112 2.2; Klein 2020", get!("\n"), Refused(400)),
    case("LF alone throughout", "RFC 9112 2.2", b"GET / HTTP/1.1\nHost: a\n\n", Refused(400)),
    case("LF before the request", "RFC 9112 2.2", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    case("CR before the request", "RFC 9112 2.2", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    case(
        "CRLF before the request",
        "RFC 9112 2.2: should be ignored",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        Passed(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ),
    case(
        "tabs and spaces around a value",
        "RFC 9112 5.1",
        get!("X: \t y \t \r\nY:z\r\n\r\n"),
        Passed(&["GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nY: z\r\n\r\n"]),
    ),
    case(
        "bytes beyond ASCII in a value",
        "RFC 9110 5.5: obs-text is opaque",
        get!("X: \u{e9}\r\n\r\n"),
        Passed(&["GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n"]),
    ),
];
