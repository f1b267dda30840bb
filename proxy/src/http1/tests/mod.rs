//! What the codec promises. `malformed`: what is refused; `crossing`: what goes on and what stays behind; `chunks`: bodies;
//! `properties`: any input at all.

mod chunks;
mod crossing;
mod malformed;
mod properties;

use super::*;
use crate::http::{HeadError, Limits};

/// What a plain GET says about its answer.
const TO_GET: AnswerTo = AnswerTo { version: Version::Http11, is_head: false, is_connect: false, upgrade: false };

/// Reads one whole request: what it says, and its payload.
fn request(input: &[u8]) -> Result<(RequestInfo, Vec<u8>), HeadError> {
    let mut payload = Vec::new();
    let info = read_request(input, &Limits::default(), &mut payload)?;
    Ok((info.expect("a whole head"), payload))
}

/// Reads one whole response.
fn response(input: &[u8], answer_to: &AnswerTo) -> Result<(ResponseInfo, Vec<u8>), HeadError> {
    let mut payload = Vec::new();
    let info = read_response(input, answer_to, &Limits::default(), &mut payload)?;
    Ok((info.expect("a whole head"), payload))
}

/// A request as the app gets it.
fn request_crossed(input: &[u8]) -> String {
    let (_, payload) = request(input).unwrap();
    let mut out = Vec::new();
    write_request(&payload, &[], &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A response as the client gets it, and what was written.
fn response_crossed(input: &[u8], answer_to: &AnswerTo) -> (ResponseWritten, String) {
    let (_, payload) = response(input, answer_to).unwrap();
    let mut out = Vec::new();
    let how = WriteResponse { answer_to: *answer_to, close: false, from_peer_proxy: true };
    let written = write_response(&payload, &how, &mut out).unwrap();
    (written, String::from_utf8_lossy(&out).into_owned())
}
