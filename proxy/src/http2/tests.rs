use ::http::{Request, Response, request, response};

use super::*;
use crate::{
    error::Reason,
    http::{AnswerTo, HeadError, RequestHead, ResponseHead, Version},
};

const TO_GET: AnswerTo = AnswerTo { version: Version::Http2, is_head: false, is_connect: false, upgrade: false };

fn head(builder: request::Builder, end: bool) -> Result<(Framing, Vec<u8>), HeadError> {
    let mut payload = Vec::new();
    let request = builder.body(()).unwrap();
    let framing = request_to_head(&request, end, &Limits::default(), &mut payload)?;
    Ok((framing, payload))
}

fn answer(builder: response::Builder, end: bool, to: &AnswerTo) -> Result<(Framing, Vec<u8>), HeadError> {
    let mut payload = Vec::new();
    let response = builder.body(()).unwrap();
    let framing = response_to_head(&response, end, to, &Limits::default(), &mut payload)?;
    Ok((framing, payload))
}

#[test]
fn a_request_crosses_the_mesh() {
    let sent = || Request::post("http://shop:8080/a?b").header("x", "1").header("te", "trailers").header("x", "2");
    let (framing, payload) = head(sent().header("weft-y", "2"), false).unwrap();
    assert_eq!(framing, Framing::Chunked);
    let read = RequestHead::read(&payload).unwrap();
    assert_eq!((read.version(), read.host(), read.target()), (Version::Http2, Some(&b"shop:8080"[..]), &b"/a?b"[..]));
    let back = head_to_request(&payload, &[("weft-client-identity", b"me")]).unwrap();
    let wanted = sent().header("weft-client-identity", "me").body(()).unwrap();
    assert_eq!((back.method(), back.uri(), back.headers()), (wanted.method(), wanted.uri(), wanted.headers()));
}

#[test]
fn a_trace_passes_as_it_is() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = Request::get("http://a/").header("traceparent", parent);
    let (_, payload) = head(sent.header("tracestate", "a=1").header("tracestate", "b=2"), true).unwrap();
    let back = head_to_request(&payload, &[]).unwrap();
    assert_eq!(back.headers()["traceparent"], parent);
    assert!(back.headers().get_all("tracestate").iter().eq(["a=1", "b=2"]));
}

#[test]
fn a_payload_has_the_layout_that_is_written_down() {
    // docs/mesh-transport.md, section "Heads".
    let (_, payload) = head(Request::get("https://a/b").header("x", "1").header("content-length", "2"), false).unwrap();
    assert_eq!(payload, b"\x10\x14\x01\0\0\0\0\0\0\0\0\x02\x02\x03\0\x02GET/bhost: a\r\nx: 1\r\n");
    let (_, payload) = answer(Response::builder().status(200).header("x", "1"), false, &TO_GET).unwrap();
    assert_eq!(payload, b"\x10\x14\x02\0\0\0\0\0\0\0\0\0\0\xc8\0\0x: 1\r\n");
}

#[test]
fn how_a_body_ends_follows_from_length_and_end() {
    let get = || Request::get("http://a/");
    for (builder, end, framing) in [
        (get(), true, Framing::None),
        (get(), false, Framing::Chunked),
        (get().header("content-length", "5"), false, Framing::Length(5)),
        (get().header("content-length", "0"), true, Framing::Length(0)),
    ] {
        let (found, payload) = head(builder, end).unwrap();
        assert_eq!(found, framing);
        let length = head_to_request(&payload, &[]).unwrap().headers().get("content-length").cloned();
        assert_eq!(length.is_some(), matches!(framing, Framing::Length(_)));
    }
}

#[test]
fn a_malformed_request_is_refused() {
    let get = || Request::get("http://a/");
    let many = (0..101).fold(get(), |builder, _| builder.header("x", "y"));
    let cases = [
        (get().header("connection", "close"), Reason::MalformedRequest),
        (get().header("keep-alive", "1"), Reason::MalformedRequest),
        (get().header("proxy-connection", "x"), Reason::MalformedRequest),
        (get().header("transfer-encoding", "chunked"), Reason::MalformedRequest),
        (get().header("upgrade", "websocket"), Reason::MalformedRequest),
        (get().header("te", "gzip"), Reason::MalformedRequest),
        (get().header("te", "trailers, gzip"), Reason::MalformedRequest),
        (get().header("x", " y"), Reason::MalformedRequest),
        (get().header("host", "b"), Reason::MalformedRequest),
        (get().header("host", "a").header("host", "a"), Reason::MalformedRequest),
        (get().header("content-length", "x"), Reason::MalformedRequest),
        (get().header("content-length", "+1"), Reason::MalformedRequest),
        (get().header("content-length", "1").header("content-length", "2"), Reason::MalformedRequest),
        (get().header("content-length", "1"), Reason::MalformedRequest), // and nothing follows
        (Request::get("http://u@a/"), Reason::MalformedRequest),
        (Request::get("/no-authority"), Reason::MalformedRequest),
        (Request::get("ftp://a/"), Reason::MalformedRequest),
        (Request::connect("a"), Reason::MalformedRequest),
        (Request::connect("a:80").header("content-length", "0"), Reason::MalformedRequest),
        (many, Reason::HeadTooLarge),
        (get().header("x", "y".repeat(70_000)), Reason::HeadTooLarge),
    ];
    for (at, (builder, reason)) in cases.into_iter().enumerate() {
        assert_eq!(head(builder, true).unwrap_err().reason(), reason, "case {at}");
    }
}

#[test]
fn a_hostile_payload_is_refused() {
    let (_, payload) = head(Request::get("http://a/"), true).unwrap();
    for lines in [
        "host: b\r\n",
        "connection: close\r\n",
        "transfer-encoding: chunked\r\n",
        "content-length: 5\r\n",
        "upgrade: websocket\r\n",
        "te: gzip\r\n",
        ":path: /x\r\n",
        "x y: 1\r\n",
        "x: 1\n\r\n",
        "x: \0\r\n",
        "x: 1",
        "x\r\n",
    ] {
        let payload = [&payload[..], lines.as_bytes()].concat();
        assert_eq!(head_to_request(&payload, &[]).unwrap_err().reason(), Reason::MalformedRequest, "{lines:?}");
    }
    assert!(head_to_request(&[&payload[..], b"weft-x: 1\r\n"].concat(), &[]).unwrap().headers().is_empty());
    for (at, byte) in [(13, 2), (16, b' '), (19, b'x')] {
        let mut payload = payload.clone();
        payload[at] = byte; // the method cut short, a space in it, a target without a slash
        assert!(head_to_request(&payload, &[]).is_err(), "{at}");
    }
}

#[test]
fn a_response_crosses_the_mesh() {
    let sent = Response::builder().status(404).header("x", "1").header("weft-proxy-error", "spoofed");
    let (framing, mut payload) = answer(sent, false, &TO_GET).unwrap();
    assert_eq!((framing, ResponseHead::read(&payload).unwrap().status()), (Framing::Chunked, 404));
    payload.extend_from_slice(b"weft-proxy-error: denied\r\nweft-other: x\r\n");
    for from_peer_proxy in [true, false] {
        let back = head_to_response(&payload, from_peer_proxy).unwrap();
        assert_eq!((back.status().as_u16(), back.headers().len()), (404, 1 + usize::from(from_peer_proxy)));
    }
}

#[test]
fn responses_without_a_body_keep_their_length() {
    let to_head = AnswerTo { is_head: true, ..TO_GET };
    for (status, to) in [(200, &to_head), (304, &TO_GET)] {
        let (framing, payload) =
            answer(Response::builder().status(status).header("content-length", "5"), true, to).unwrap();
        assert_eq!(framing, Framing::None);
        assert_eq!(head_to_response(&payload, true).unwrap().headers()["content-length"], "5");
    }
    assert!(answer(Response::builder().status(200).header("content-length", "5"), true, &TO_GET).is_err());
    assert!(answer(Response::builder().status(101), true, &TO_GET).is_err());
}

#[test]
fn trailers_cross_without_what_has_no_place_in_them() {
    let mut trailers = HeaderMap::new();
    for (name, value) in
        [("grpc-status", "0"), ("weft-x", "1"), ("content-length", "5"), ("host", "a"), ("grpc-message", "")]
    {
        trailers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut lines = Vec::new();
    trailers_to_lines(&trailers, &mut lines);
    assert_eq!(lines, b"grpc-status: 0\r\ngrpc-message: \r\n");
    let back = lines_to_trailers(&lines).unwrap();
    assert_eq!((back.len(), &back["grpc-status"]), (2, &HeaderValue::from_static("0")));
    for lines in ["x: y", "x\r\n", ":path: x\r\n", "x: \0\r\n", "\r\n"] {
        assert!(lines_to_trailers(lines.as_bytes()).is_err(), "{lines:?}");
    }
}
