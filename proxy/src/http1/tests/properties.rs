use proptest::prelude::*;

use super::*;
use crate::http::RequestHead;

fn field() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}",
        prop::sample::select(vec!["Cookie", "TE", "Upgrade", "Connection", "Keep-Alive", "Expect", "weft-x", "WEFT_Y"])
            .prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        "[ -~\\t]{0,20}",
        prop::sample::select(vec![
            "trailers",
            "gzip, trailers",
            "websocket",
            "upgrade",
            "close",
            "x-a, te",
            "100-continue"
        ])
        .prop_map(str::to_owned),
    ];
    (name, prop::sample::select(vec![":", ": ", ":\t ", ":  "]), value)
        .prop_map(|(name, colon, value)| format!("{name}{colon}{value}\r\n"))
}

fn head_with(first: &'static [&'static str]) -> impl Strategy<Value = String> {
    let framing = prop::sample::select(vec![
        "",
        "Content-Length: 0\r\n",
        "content-length: 17\r\n",
        "Transfer-Encoding: chunked\r\n",
    ]);
    (prop::sample::select(first), prop::collection::vec(field(), 0..8), framing, prop::collection::vec(field(), 0..3))
        .prop_map(|(first, before, framing, after)| {
            format!("{first}{}{framing}{}\r\n", before.concat(), after.concat())
        })
}

fn request_head() -> impl Strategy<Value = String> {
    head_with(&[
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "HEAD /x?y=z HTTP/1.1\r\nhOsT:a:80\r\n",
        "POST http://b/x HTTP/1.1\r\nHost: a\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n",
        "PUT /a HTTP/1.0\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n",
    ])
}

fn response_head() -> impl Strategy<Value = String> {
    head_with(&[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 \r\n",
        "HTTP/1.1 304\r\n",
        "HTTP/1.0 404 Not  Here\r\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        "HTTP/1.1 426 U\r\nUpgrade: websocket\r\n",
    ])
}

fn answer_to() -> impl Strategy<Value = AnswerTo> {
    let version = prop::sample::select(vec![Version::Http10, Version::Http11]);
    (version, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(version, is_head, is_connect, upgrade)| {
        AnswerTo { version, is_head, is_connect: is_connect && !is_head, upgrade: upgrade || is_connect }
    })
}

/// Puts bytes that parsers care for into other bytes.
fn broken(bytes: Vec<u8>, changes: Vec<(prop::sample::Index, u8, bool)>) -> Vec<u8> {
    let mut bytes = bytes;
    for (at, byte, insert) in changes {
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, bool)>> {
    let byte = prop_oneof![prop::sample::select(b"\r\n :\0,;c0123".to_vec()), any::<u8>()];
    prop::collection::vec((any::<prop::sample::Index>(), byte, any::<bool>()), 0..4)
}

proptest! {
    #[test]
    fn a_request_is_read_the_same_however_it_is_split(head in request_head(), changes in changes()) {
        let input = broken(head.into_bytes(), changes);
        let mut payload = Vec::new();
        let whole = read_request(&input, &Limits::default(), &mut payload);
        for end in 0..input.len() {
            let mut out = Vec::new();
            match (read_request(&input[..end], &Limits::default(), &mut out), &whole) {
                (Ok(None), _) => {}
                (Ok(Some(info)), Ok(Some(same))) => prop_assert_eq!((info, &out), (*same, &payload)),
                (Err(_), Err(_)) => {}
                (part, _) => prop_assert!(false, "{:?} of {} bytes, {:?} of all", part, end, whole),
            }
        }
    }

    #[test]
    fn what_was_read_and_written_reads_the_same_again(head in request_head()) {
        let Ok((info, payload)) = request(head.as_bytes()) else { return Ok(()) };
        let mut out = Vec::new();
        let written = write_request(&payload, &[], &mut out).unwrap();
        prop_assert_eq!((written.framing, written.answer_to), (info.framing, info.answer_to()));
        let (again, same) = request(&out).unwrap();
        prop_assert_eq!((again.used, again.answer_to(), same), (out.len(), info.answer_to(), payload));
    }

    #[test]
    fn no_request_payload_makes_more_or_less_than_one_request(head in request_head(), changes in changes()) {
        let Ok((_, payload)) = request(head.as_bytes()) else { return Ok(()) };
        let mut out = Vec::new();
        let payload = broken(payload, changes);
        let Ok(written) = write_request(&payload, &[], &mut out) else { return Ok(()) };
        let (info, again) = request(&out).unwrap();
        prop_assert_eq!((info.used, info.framing, info.is_head), (out.len(), written.framing, written.answer_to.is_head));
        let (head, again) = (RequestHead::read(&payload).unwrap(), RequestHead::read(&again).unwrap());
        prop_assert_eq!((head.method(), head.target()), (again.method(), again.target()));
        prop_assert!(!again.fields().any(|field| field.name.to_ascii_lowercase().starts_with(b"weft")));
    }

    #[test]
    fn no_response_payload_makes_more_or_less_than_one_response(
        head in response_head(), changes in changes(), answer_to in answer_to(), close: bool,
    ) {
        let Ok((_, payload)) = response(head.as_bytes(), &answer_to) else { return Ok(()) };
        let mut out = Vec::new();
        let how = WriteResponse { answer_to, close, from_peer_proxy: false };
        let Ok(written) = write_response(&broken(payload, changes), &how, &mut out) else { return Ok(()) };
        if written.interim && answer_to.version == Version::Http10 {
            prop_assert!(out.is_empty());
            return Ok(());
        }
        let (info, _) = response(&out, &answer_to).unwrap();
        let framing = (info.used, info.status, info.framing, info.interim, info.switched);
        prop_assert_eq!(framing, (out.len(), written.status, written.framing, written.interim, written.switched));
        if info.keep_alive && !info.interim {
            prop_assert!(!written.close);
        }
    }

    #[test]
    fn a_body_survives_encoding_and_decoding(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), step in 1usize..50, most in 1usize..50,
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            write_chunk_head(chunk.len(), &mut wire);
            wire.extend_from_slice(chunk);
            write_chunk_end(&mut wire);
        }
        write_last_chunk(b"a: b\r\n", &mut wire).unwrap();
        let (mut decoder, mut data, mut at, mut over) = (ChunkDecoder::new(&Limits::default()), Vec::new(), 0, false);
        while at < wire.len() {
            let piece = &wire[at..wire.len().min(at + step)];
            let found = decoder.decode(piece, most).unwrap();
            data.extend_from_slice(&piece[found.data]);
            (at, over) = (at + found.used, found.over);
        }
        prop_assert!(over);
        prop_assert_eq!((data, decoder.trailers()), (chunks.concat(), &b"a: b\r\n"[..]));
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), answer_to in answer_to()) {
        let mut out = Vec::new();
        let _ = read_request(&bytes, &Limits::default(), &mut out);
        let _ = read_response(&bytes, &answer_to, &Limits::default(), &mut out);
        let _ = write_request(&bytes, &[], &mut out);
        let _ = write_response(&bytes, &WriteResponse { answer_to, close: true, from_peer_proxy: true }, &mut out);
        let _ = write_last_chunk(&bytes, &mut out);
        let _ = ChunkDecoder::new(&Limits::default()).decode(&bytes, 10);
    }
}
