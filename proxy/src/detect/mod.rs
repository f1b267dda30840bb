//! First bytes of a connection: which protocol is spoken. Pure: nothing is read here and nothing consumed.

mod client_hello;

#[cfg(test)]
mod tests;

pub use client_hello::server_name;

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detected {
    /// A request line of HTTP/1.x.
    Http1,
    /// The preface of HTTP/2.
    Http2,
    /// A TLS ClientHello.
    Tls,
    /// Something else.
    Opaque,
    /// Not decided yet: more bytes are needed. Never the answer for more than [`LIMIT`] bytes.
    More,
}

/// Bytes after which a decision stands.
pub const LIMIT: usize = 1024;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longer than any registered method.
const LONGEST_METHOD: usize = 32;

/// Says which protocol the bytes begin.
pub fn detect(bytes: &[u8]) -> Detected {
    if begins(bytes, PREFACE) {
        return if bytes.len() < PREFACE.len() { Detected::More } else { Detected::Http2 };
    }
    if bytes[0] == 0x16 {
        return tls(bytes);
    }
    match request_line(bytes) {
        Detected::More if bytes.len() > LIMIT => Detected::Http1, // a method and a long target
        detected => detected,
    }
}

/// Whether the bytes and the pattern agree as far as both go.
fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.iter().zip(pattern).all(|(byte, wanted)| byte == wanted)
}

/// A handshake record of version 3.x, not empty and not too long, with a ClientHello in it.
fn tls(bytes: &[u8]) -> Detected {
    let fits = |at: usize, fine: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| fine(*byte));
    let shaped = fits(1, |major| major == 3)
        && fits(2, |minor| minor <= 4)
        && fits(3, |high| high <= 0x40)
        && fits(5, |kind| kind == 1);
    match (shaped, bytes.len() > 5) {
        (false, _) => Detected::Opaque,
        (true, false) => Detected::More,
        (true, true) => Detected::Tls,
    }
}

/// A method, a target and `HTTP/1.` with a digit. Other protocols have lines of words too, so all of it is asked for.
fn request_line(bytes: &[u8]) -> Detected {
    let Some(space) = bytes.iter().position(|byte| !is_method_byte(*byte)) else {
        return if bytes.len() <= LONGEST_METHOD { Detected::More } else { Detected::Opaque };
    };
    if space == 0 || space > LONGEST_METHOD || bytes[space] != b' ' {
        return Detected::Opaque;
    }
    let target = &bytes[space + 1..];
    let Some(end) = target.iter().position(|byte| *byte <= b' ' || *byte == 0x7f) else {
        return Detected::More;
    };
    if end == 0 || target[end] != b' ' {
        return Detected::Opaque;
    }
    let version = &target[end + 1..];
    match version.get(b"HTTP/1.".len()) {
        _ if !begins(version, b"HTTP/1.") => Detected::Opaque,
        None => Detected::More,
        Some(minor) if minor.is_ascii_digit() => Detected::Http1,
        Some(_) => Detected::Opaque,
    }
}

/// Registered methods are of capitals and hyphens; small letters would take in the commands of other protocols.
fn is_method_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'-' || byte == b'_'
}
