//! Responses that the proxy makes itself: each says why.

use super::{Framing, Prefix, ResponsePrefix, Version, put_decimal, put_field};
use crate::error::Reason;

/// Appends the HEAD payload of the response for a failure, and gives the body that belongs to it.
///
/// `detail` is one sentence for who reads the answer. For a gRPC call the whole response is the head (status 200,
/// `grpc-status`, `grpc-message`) and the body is empty: send it with END.
pub fn local_response(reason: Reason, detail: &str, grpc: bool, out: &mut Vec<u8>) -> Vec<u8> {
    let body = if grpc { Vec::new() } else { format!("weft: {}: {detail}\n", reason.label()).into_bytes() };
    let (status, framing) = match grpc {
        true => (200, Framing::None),
        false => (reason.status(), Framing::Length(body.len() as u64)),
    };
    let phrase = ::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let prefix = Prefix { version: Version::Http11, framing, flags: 0 };
    out.extend_from_slice(&ResponsePrefix { prefix, status, reason: phrase.len() as u16 }.bytes());
    out.extend_from_slice(phrase.as_bytes());
    put_field(b"weft-proxy-error", reason.label().as_bytes(), out);
    if grpc {
        put_field(b"content-type", b"application/grpc", out);
        out.extend_from_slice(b"grpc-status: ");
        put_decimal(reason.grpc_status().into(), out);
        out.extend_from_slice(b"\r\ngrpc-message: ");
        put_percent_encoded(&format!("weft: {}: {detail}", reason.label()), out);
        out.extend_from_slice(b"\r\n");
    } else {
        put_field(b"content-type", b"text/plain; charset=utf-8", out);
    }
    body
}

/// The encoding of grpc-message: printable ASCII but the percent sign stays.
fn put_percent_encoded(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}
