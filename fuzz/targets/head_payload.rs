//! Heads as a hostile peer sends them over the mesh: what is written for the app is one message to every reader, or nothing.
#![no_main]

use weft_fuzz::judge::{Manner, Stop, take};
use weft_proxy::{
    http::{Framing, Limits, Version},
    http1::{AnswerTo, WriteResponse, read_response, write_last_chunk, write_request, write_response},
};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    request(payload);
    for version in [Version::Http10, Version::Http11] {
        for (is_head, is_connect) in [(false, false), (true, false), (false, true)] {
            response(payload, AnswerTo { version, is_head, is_connect, upgrade: true });
        }
    }
    trailers(payload);
});

fn request(payload: &[u8]) {
    let mut out = Vec::new();
    let Ok(written) = write_request(payload, &[("weft-client-identity", b"me")], &mut out) else {
        assert!(out.is_empty());
        return;
    };
    match written.framing {
        Framing::Length(length) if length < 1 << 16 => out.resize(out.len() + length as usize, b'.'),
        Framing::Length(_) => return,
        Framing::Chunked => out.extend_from_slice(b"1\r\n.\r\n0\r\n\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    for manner in [Manner::Strict, Manner::Lenient] {
        let mut rest = &out[..];
        let message = take(&mut rest, manner).expect("what is written is a request");
        assert_eq!(take(&mut rest, manner), Err(Stop::Incomplete));
        assert!(rest.is_empty(), "more than one message");
        let identities: Vec<_> = message.values(b"weft-client-identity").collect();
        assert_eq!(identities, [b"me"]);
        assert_eq!(message.body.is_empty(), !written.framing.has_body());
    }
}

fn response(payload: &[u8], answer_to: AnswerTo) {
    let mut out = Vec::new();
    let how = WriteResponse { answer_to, close: false, from_peer_proxy: true };
    let Ok(written) = write_response(payload, &how, &mut out) else {
        assert!(out.is_empty());
        return;
    };
    if out.is_empty() {
        assert!(written.interim && answer_to.version == Version::Http10);
        return;
    }
    let read = read_response(&out, &answer_to, &Limits::default(), &mut Vec::new());
    let read = read.expect("what is written is a response").expect("it is whole");
    assert_eq!((read.used, read.status, read.framing), (out.len(), written.status, written.framing));
}

fn trailers(lines: &[u8]) {
    let mut out = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let before = out.len();
    if write_last_chunk(lines, &mut out).is_err() {
        assert_eq!(out.len(), before);
        return;
    }
    for manner in [Manner::Strict, Manner::Lenient] {
        let mut rest = &out[..];
        let message = take(&mut rest, manner).expect("the body is over");
        assert!(rest.is_empty() && message.body.is_empty());
        assert!(!message.trailers.iter().any(|(name, _)| name.starts_with(b"weft-") || name.starts_with(b"weft_")));
    }
}
