//! What an outbound proxy and the inbound one behind it make of a client's bytes, by their own codecs, without a connection.

use weft_proxy::{
    http::{Framing, Limits},
    http1::{
        ChunkDecoder, RequestInfo, read_request, write_chunk_end, write_chunk_head, write_last_chunk, write_request,
    },
};

use crate::judge::{Field, Message};

/// What the app gets of a client's bytes.
#[derive(Debug, Default)]
pub struct Crossed {
    /// Bytes on the app's connection.
    pub out: Vec<u8>,
    /// How many requests went there whole.
    pub whole: usize,
    /// The last one was cut off within its body: the proxies then end both connections.
    pub cut: bool,
}

/// Carries the requests that the bytes hold, up to one that is refused, is not whole, or ends the connection.
pub fn cross(mut bytes: &[u8]) -> Crossed {
    let mut crossed = Crossed::default();
    loop {
        let mut payload = Vec::new();
        let Ok(Some(info)) = read_request(bytes, &Limits::default(), &mut payload) else { return crossed };
        bytes = &bytes[info.used..];
        let written = write_request(&payload, &[], &mut crossed.out);
        let written = written.expect("what reading makes can be written");
        assert_eq!((written.framing, written.answer_to), (info.framing, info.answer_to()));
        let Some(rest) = body(info.framing, bytes, &mut crossed.out) else {
            crossed.cut = true;
            return crossed;
        };
        bytes = rest;
        crossed.whole += 1;
        if ends(&info) {
            return crossed;
        }
    }
}

/// Whether no other request follows on the connection.
fn ends(info: &RequestInfo) -> bool {
    !info.keep_alive || info.is_connect || info.upgrade
}

/// Carries a body; gives what follows it. None: it is malformed, or not whole.
fn body<'a>(framing: Framing, mut bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    match framing {
        Framing::None => Some(bytes),
        Framing::Length(length) => {
            let whole = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
            out.extend_from_slice(whole.map_or(bytes, |(body, _)| body));
            whole.map(|(_, rest)| rest)
        }
        Framing::Chunked => {
            let mut decoder = ChunkDecoder::new(&Limits::default());
            loop {
                let found = decoder.decode(bytes, usize::MAX).ok()?;
                let data = &bytes[found.data];
                if !data.is_empty() {
                    write_chunk_head(data.len(), out);
                    out.extend_from_slice(data);
                    write_chunk_end(out);
                }
                bytes = &bytes[found.used..];
                if found.over {
                    write_last_chunk(decoder.trailers(), out).expect("what reading makes can be written");
                    return Some(bytes);
                }
                if bytes.is_empty() {
                    return None;
                }
            }
        }
        Framing::UntilClose => panic!("a request does not end with its connection"),
    }
}

/// Holds what reached the app against what the client said.
pub fn same_meaning(said: &Message, heard: &Message) {
    assert_eq!((&said.method, &said.target, &said.version), (&heard.method, &heard.target, &heard.version));
    assert_eq!(said.body, heard.body);
    let authority = authority(&said.target);
    let host = authority.or_else(|| said.values(b"host").next());
    assert_eq!(heard.values(b"host").collect::<Vec<_>>(), Vec::from_iter(host));
    assert_eq!(end_to_end(said), end_to_end(heard));
    assert_eq!(trailers(said), trailers(heard));
    for field in heard.fields.iter().chain(&heard.trailers) {
        assert!(!is_of_weft(&field.0), "{field:?}");
        match &field.0[..] {
            b"connection" => assert!(matches!(&field.1[..], b"te" | b"upgrade" | b"upgrade, te"), "{field:?}"),
            b"te" => assert!(field.1.eq_ignore_ascii_case(b"trailers"), "{field:?}"),
            b"keep-alive" | b"proxy-connection" | b"http2-settings" => panic!("{field:?} is of one connection"),
            _ => {}
        }
    }
}

/// The fields that must go on, in their order.
fn end_to_end(message: &Message) -> Vec<&Field> {
    let named: Vec<Vec<u8>> = message
        .values(b"connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|token| token.trim_ascii().to_ascii_lowercase())
        .collect();
    let goes_on = |field: &&Field| !is_of_one_hop(&field.0) && !is_of_weft(&field.0) && !named.contains(&field.0);
    message.fields.iter().filter(goes_on).collect()
}

fn trailers(message: &Message) -> Vec<&Field> {
    let goes_on = |field: &&Field| !is_of_one_hop(&field.0) && !is_of_weft(&field.0) && field.0 != b"trailer";
    message.trailers.iter().filter(goes_on).collect()
}

/// What has a rule of its own: framing, routing, and what speaks of one connection.
fn is_of_one_hop(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"connection",
        b"content-length",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    ];
    NAMES.contains(&name)
}

fn is_of_weft(name: &[u8]) -> bool {
    name.starts_with(b"weft-") || name.starts_with(b"weft_")
}

fn authority(target: &[u8]) -> Option<&[u8]> {
    let text = target.to_ascii_lowercase();
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| text.starts_with(scheme))?;
    target[scheme.len()..].split(|byte| matches!(byte, b'/' | b'?')).next()
}
