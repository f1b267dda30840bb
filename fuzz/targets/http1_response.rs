//! Responses of HTTP/1.x to all kinds of requests: read the same in any pieces, and written as just one response again.
#![no_main]

use weft_fuzz::pieces;
use weft_proxy::{
    http::{Limits, Version},
    http1::{AnswerTo, WriteResponse, read_response, write_response},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((flags, rest)) = bytes.split_first() else { return };
    let is = |bit: u8| flags & bit != 0;
    let version = if is(1) { Version::Http10 } else { Version::Http11 };
    let answer_to = AnswerTo { version, is_head: is(2), is_connect: is(4) && !is(2), upgrade: is(8) || is(4) };
    let (pieces, all) = pieces(rest);
    let mut payload = Vec::new();
    let whole = read_response(all, &answer_to, &Limits::default(), &mut payload);
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut same = Vec::new();
        match (read_response(&held, &answer_to, &Limits::default(), &mut same), whole) {
            (Ok(None), _) => {}
            (Ok(Some(info)), Ok(Some(of_all))) => {
                assert_eq!((info, same), (of_all, payload.clone()));
                break;
            }
            (Err(_), Err(_)) => return,
            (part, of_all) => panic!("{part:?} of {} bytes, {of_all:?} of all", held.len()),
        }
    }
    let Ok(Some(info)) = whole else { return };
    let mut out = Vec::new();
    let how = WriteResponse { answer_to, close: is(16), from_peer_proxy: is(32) };
    let written = write_response(&payload, &how, &mut out).expect("what reading makes can be written");
    assert_eq!((written.status, written.interim, written.switched), (info.status, info.interim, info.switched));
    if written.interim && version == Version::Http10 {
        assert!(out.is_empty());
        return;
    }
    let again = read_response(&out, &answer_to, &Limits::default(), &mut Vec::new());
    let again = again.expect("what was written can be read").expect("it is whole");
    assert_eq!((again.used, again.status, again.framing), (out.len(), written.status, written.framing));
});
