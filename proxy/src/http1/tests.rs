use super::*;
use crate::http::{Flaw, HeadError, Limits, RequestHead, ResponseHead};

fn request(input: &[u8]) -> Result<(RequestInfo, Vec<u8>), HeadError> {
    let mut payload = Vec::new();
    let info = read_request(input, &Limits::default(), &mut payload)?;
    Ok((info.expect("a whole head"), payload))
}

#[test]
fn a_request_crosses_the_mesh_as_it_came() {
    let input = b"POST /a?b HTTP/1.1\r\nHost: shop\r\nX-B: 1\r\nx-a:2\r\nX-B: 3\r\nContent-Length: 5\r\n\r\nhello";
    let (info, payload) = request(input).unwrap();
    assert_eq!((info.used, info.framing), (input.len() - 5, Framing::Length(5)));
    let head = RequestHead::read(&payload).unwrap();
    assert_eq!((head.path(), head.query(), head.host()), (&b"/a"[..], Some(&b"b"[..]), Some(&b"shop"[..])));
    let mut out = Vec::new();
    write_request(&payload, &[("weft-client-identity", b"me")], &mut out).unwrap();
    let wanted = "POST /a?b HTTP/1.1\r\nHost: shop\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nweft-client-identity: me\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn a_response_crosses_the_mesh_as_it_came() {
    let input = b"HTTP/1.1 404 Nothing Here\r\nServer: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let answer_to = AnswerTo { version: Version::Http11, is_head: false, is_connect: false, upgrade: false };
    let mut payload = Vec::new();
    let info = read_response(input, &answer_to, &Limits::default(), &mut payload).unwrap().unwrap();
    assert_eq!((info.status, info.framing, info.keep_alive), (404, Framing::Chunked, false));
    assert_eq!(ResponseHead::read(&payload).unwrap().reason(), b"Nothing Here");
    let mut out = Vec::new();
    let how = WriteResponse { answer_to, close: false, from_peer_proxy: true };
    write_response(&payload, &how, &mut out).unwrap();
    let wanted = "HTTP/1.1 404 Nothing Here\r\nServer: x\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn a_request_with_two_lengths_is_refused() {
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
    assert_eq!(request(input).unwrap_err(), HeadError::Request(Flaw::ContentLength));
}
