use super::*;
use crate::http::{RequestHead, ResponseHead};

#[test]
fn a_request_crosses_the_mesh_as_it_came() {
    let input = b"POST /a?b HTTP/1.1\r\nX-B: 1\r\nHost: shop\r\nx-a:2 \r\nX-B: 3\r\nContent-Length: 5\r\nX-\xc3: \xff";
    assert!(request(input).is_err());
    let input = b"POST /a?b HTTP/1.1\r\nX-B: 1\r\nHost: shop\r\nx-a:2 \r\nX-B: 3\r\nContent-Length: 5\r\n\r\nhello";
    let (info, payload) = request(input).unwrap();
    assert_eq!((info.used, info.framing, info.keep_alive), (input.len() - 5, Framing::Length(5), true));
    let head = RequestHead::read(&payload).unwrap();
    assert_eq!((head.path(), head.query(), head.host()), (&b"/a"[..], Some(&b"b"[..]), Some(&b"shop"[..])));
    assert_eq!((head.method(), head.target(), head.field(b"X-A")), (&b"POST"[..], &b"/a?b"[..], Some(&b"2"[..])));
    let mut out = Vec::new();
    write_request(&payload, &[("weft-client-identity", b"me")], &mut out).unwrap();
    let wanted = "POST /a?b HTTP/1.1\r\nX-B: 1\r\nHost: shop\r\nx-a: 2\r\nX-B: 3\r\nweft-client-identity: me\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn a_trace_passes_as_it_is_whether_it_is_well_formed_or_not() {
    for fields in [
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=1,b=2\r\n",
        "Traceparent: cc-what-ever\r\nTraceState: a=1\r\nTraceState: b=2\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(request_crossed(request.as_bytes()), request);
    }
}

#[test]
fn a_response_crosses_the_mesh_as_it_came() {
    let input = b"HTTP/1.1 404 Nothing Here\r\nServer: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let (info, payload) = response(input, &TO_GET).unwrap();
    assert_eq!((info.status, info.framing, info.keep_alive), (404, Framing::Chunked, false));
    assert_eq!(ResponseHead::read(&payload).unwrap().reason(), b"Nothing Here");
    let (written, text) = response_crossed(input, &TO_GET);
    assert_eq!(text, "HTTP/1.1 404 Nothing Here\r\nServer: x\r\ntransfer-encoding: chunked\r\n\r\n");
    assert!(!written.close);
}

#[test]
fn a_payload_has_the_layout_that_is_written_down() {
    // docs/mesh-transport.md, section "Heads": these bytes are read and written for ever.
    let (_, payload) =
        request(b"PUT /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 258\r\n\r\n").unwrap();
    let golden = b"\x10\x0b\x01\x02\0\0\0\0\0\0\x01\x02\0\x03\0\x02PUT/xHost: a\r\nExpect: 100-continue\r\n";
    assert_eq!(payload, golden);
    let (_, payload) = request(b"GET HTTPS://a/ HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(payload, b"\x10\x0a\0\0\0\0\0\0\0\0\0\0\x02\x03\0\x0aGETHTTPS://a/host: a\r\n");
    let (_, payload) = response(b"HTTP/1.1 404 Not Here\r\nA: b\r\n\r\n", &TO_GET).unwrap();
    assert_eq!(payload, b"\x10\x0b\x03\0\0\0\0\0\0\0\0\0\x01\x94\0\x08Not HereA: b\r\n");
}

#[test]
fn a_longer_prefix_and_unknown_soft_flags_of_a_later_release_are_read() {
    let payload = b"\x12\x0b\0\x0c\0\0\0\0\0\0\0\0\0\x03\0\x01??GET/Host: a\r\n";
    let mut out = Vec::new();
    write_request(payload, &[], &mut out).unwrap();
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn hop_by_hop_fields_and_what_connection_names_stay_behind() {
    let input = b"GET / HTTP/1.1\r\nX-Hop: 1\r\nConnection: keep-alive, X-Hop\r\nHost: a\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nY: 2\r\nconnection: y , HOST\r\nTrailer: t\r\nUpgrade: websocket\r\nTE: gzip\r\n\r\n";
    assert_eq!(request_crossed(input), "GET / HTTP/1.1\r\nHost: a\r\nTrailer: t\r\n\r\n");
}

#[test]
fn te_goes_on_as_far_as_it_says_trailers() {
    for (te, kept) in [("trailers", "TE: trailers\r\n"), ("gzip;q=1, Trailers", "te: trailers\r\n"), ("gzip", "")] {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\nTE: {te}\r\nConnection: TE\r\n\r\n");
        let option = if kept.is_empty() { "" } else { "connection: te\r\n" };
        assert_eq!(request_crossed(input.as_bytes()), format!("GET / HTTP/1.1\r\nHost: a\r\n{kept}{option}\r\n"));
    }
}

#[test]
fn the_names_of_weft_are_stripped_from_what_apps_say() {
    let fields = "Weft-Client-Identity: x\r\nWEFT_CLIENT_IDENTITY: x\r\nweft-: x\r\nweft_: x\r\nWeft-Proxy-Error: x\r\nweftly: y\r\nwefa-x: y\r\n";
    let kept = "weftly: y\r\nwefa-x: y\r\n";
    let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}Connection: weft-client-identity\r\n\r\n");
    assert_eq!(request_crossed(input.as_bytes()), format!("GET / HTTP/1.1\r\nHost: a\r\n{kept}\r\n"));
    let (_, text) = response_crossed(format!("HTTP/1.1 204 \r\n{fields}\r\n").as_bytes(), &TO_GET);
    assert_eq!(text, format!("HTTP/1.1 204 \r\n{kept}\r\n"));
}

#[test]
fn an_app_s_connection_field_cannot_remove_what_weft_adds() {
    let (_, payload) = request(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: weft-client-identity\r\n\r\n").unwrap();
    let mut out = Vec::new();
    write_request(&payload, &[("weft-client-identity", b"me")], &mut out).unwrap();
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\nweft-client-identity: me\r\n\r\n");
}

#[test]
fn names_of_weft_in_a_payload_are_stripped_but_a_proxy_s_error() {
    let (_, mut payload) = request(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n").unwrap();
    payload.extend_from_slice(b"weft-client-identity: admin\r\nY: 2\r\n");
    let mut out = Vec::new();
    write_request(&payload, &[("weft-client-identity", b"me")], &mut out).unwrap();
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\nweft-client-identity: me\r\n\r\n");
    let (_, mut payload) = response(b"HTTP/1.1 204 \r\n\r\n", &TO_GET).unwrap();
    payload.extend_from_slice(b"weft-other: x\r\nWeft-Proxy-Error: denied\r\n");
    for (from_peer_proxy, kept) in [(true, "Weft-Proxy-Error: denied\r\n"), (false, "")] {
        let mut out = Vec::new();
        write_response(&payload, &WriteResponse { answer_to: TO_GET, close: false, from_peer_proxy }, &mut out)
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("HTTP/1.1 204 \r\n{kept}\r\n"));
    }
}

#[test]
fn the_target_s_authority_wins_over_host() {
    let input = b"GET http://b:81/p?q HTTP/1.1\r\nX: 1\r\nHoSt: a\r\nY:2\r\nConnection: y\r\nZ: 3\r\n\r\n";
    assert_eq!(request_crossed(input), "GET http://b:81/p?q HTTP/1.1\r\nX: 1\r\nHoSt: b:81\r\nZ: 3\r\n\r\n");
    let (_, payload) = request(input).unwrap();
    let head = RequestHead::read(&payload).unwrap();
    assert_eq!((head.path(), head.query(), head.host()), (&b"/p"[..], Some(&b"q"[..]), Some(&b"b:81"[..])));
    let same = "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(request_crossed(same.as_bytes()), same);
}

#[test]
fn the_forms_of_a_target_are_kept() {
    for (line, path) in
        [("OPTIONS * ", "*"), ("OPTIONS / ", "/"), ("GET //a/../b ", "//a/../b"), ("GET http://a?q ", "/")]
    {
        let input = format!("{line}HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request_crossed(input.as_bytes()), input);
        let (_, payload) = request(input.as_bytes()).unwrap();
        assert_eq!(RequestHead::read(&payload).unwrap().path(), path.as_bytes());
    }
    for target in ["a:443", "[::1]:80"] {
        let input = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        assert_eq!(request_crossed(input.as_bytes()), input);
        assert!(request(input.as_bytes()).unwrap().0.upgrade);
    }
}

#[test]
fn hosts_of_all_kinds_are_let_through() {
    for host in ["", "a", "a.b.svc.cluster.local:8080", "10.0.0.1", "[fe80::1%25eth0]:80", "under_score", "a:"] {
        let input = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(request_crossed(input.as_bytes()), input);
    }
}

#[test]
fn empty_lines_before_a_request_are_forgiven() {
    let (info, _) = request(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nX").unwrap();
    assert_eq!(info.used, 31);
}

#[test]
fn the_same_length_twice_is_one_length() {
    let (info, _) = request(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\ncontent-length: 7\r\n\r\n").unwrap();
    assert_eq!(info.framing, Framing::Length(7));
}

#[test]
fn an_upgrade_crosses_and_switches() {
    let input = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n\r\n";
    let (info, _) = request(input.as_bytes()).unwrap();
    assert!(info.upgrade);
    let wanted =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(request_crossed(input.as_bytes()), wanted);
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    let (written, text) = response_crossed(answer.as_bytes(), &info.answer_to());
    assert_eq!((written.switched, written.framing, &text[..]), (true, Framing::None, answer));
}

#[test]
fn an_upgrade_to_h2c_or_of_an_old_client_is_not_passed_on() {
    for line in ["GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket, h2c"] {
        let input = format!("{line}\r\nHTTP2-Settings: AA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n");
        assert!(!request(input.as_bytes()).unwrap().0.upgrade);
        assert_eq!(request_crossed(input.as_bytes()), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let old = b"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(request_crossed(old), "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
}

#[test]
fn answers_without_a_body_keep_what_they_declare() {
    let to_head = AnswerTo { is_head: true, ..TO_GET };
    for (line, answer_to) in [("HTTP/1.1 200 OK\r\n", &to_head), ("HTTP/1.1 304 Not Modified\r\n", &TO_GET)] {
        for framing in ["content-length: 5\r\n", "transfer-encoding: chunked\r\n", ""] {
            let input = format!("{line}{framing}\r\n");
            let (info, _) = response(input.as_bytes(), answer_to).unwrap();
            let (written, text) = response_crossed(input.as_bytes(), answer_to);
            assert_eq!((info.framing, written.framing, text), (Framing::None, Framing::None, input));
            assert!(info.keep_alive && !written.close);
        }
    }
    let (info, _) = response(b"HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", &TO_GET).unwrap();
    assert_eq!(info.framing, Framing::None);
}

#[test]
fn an_interim_response_crosses_but_not_to_an_old_client() {
    let input = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let (written, text) = response_crossed(input.as_bytes(), &TO_GET);
    assert_eq!((written.interim, &text[..]), (true, input));
    let old = AnswerTo { version: Version::Http10, ..TO_GET };
    let (written, text) = response_crossed(input.as_bytes(), &old);
    assert_eq!((written.interim, &text[..]), (true, ""));
}

#[test]
fn a_response_until_close_ends_its_connection() {
    let (info, _) = response(b"HTTP/1.1 200 OK\r\n\r\n", &TO_GET).unwrap();
    assert_eq!((info.framing, info.keep_alive), (Framing::UntilClose, false));
    let (written, text) = response_crossed(b"HTTP/1.1 200 OK\r\n\r\n", &TO_GET);
    assert_eq!((written.close, &text[..]), (true, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"));
}

#[test]
fn versions_are_kept_and_persistence_is_spelt_out_for_old_ones() {
    let old = AnswerTo { version: Version::Http10, ..TO_GET };
    let (written, text) = response_crossed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &old);
    assert_eq!((written.framing, &text[..]), (Framing::UntilClose, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"));
    let (_, text) = response_crossed(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", &TO_GET);
    assert_eq!(text, "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\n");
    for (input, keep) in [
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", false),
    ] {
        assert_eq!(request(input.as_bytes()).unwrap().0.keep_alive, keep, "{input:?}");
    }
    assert_eq!(request_crossed(b"GET / HTTP/1.0\r\nA: b\r\n\r\n"), "GET / HTTP/1.0\r\nA: b\r\n\r\n");
}

#[test]
fn a_client_that_waits_for_continue_is_recognised() {
    let (info, payload) =
        request(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n").unwrap();
    assert!(info.expects_continue && RequestHead::read(&payload).unwrap().expects_continue());
    for input in [
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    ] {
        assert!(!request(input.as_bytes()).unwrap().0.expects_continue);
    }
}

#[test]
fn a_reason_phrase_beyond_ascii_is_kept() {
    let (_, payload) = response(b"HTTP/1.1 404 Pas trouv\xe9\r\n\r\n", &TO_GET).unwrap();
    assert_eq!(ResponseHead::read(&payload).unwrap().reason(), b"Pas trouv\xe9");
    let mut out = Vec::new();
    let how = WriteResponse { answer_to: TO_GET, close: true, from_peer_proxy: false };
    write_response(&payload, &how, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 404 Pas trouv\xe9\r\nconnection: close\r\n\r\n");
}

#[test]
fn a_connection_is_a_tunnel_after_connect_succeeds() {
    let to_connect = AnswerTo { is_connect: true, upgrade: true, ..TO_GET };
    let (written, text) = response_crossed(b"HTTP/1.1 200 Established\r\nContent-Length: 5\r\n\r\n", &to_connect);
    assert_eq!(
        (written.switched, written.framing, &text[..]),
        (true, Framing::None, "HTTP/1.1 200 Established\r\n\r\n")
    );
    let (info, _) = response(b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n", &to_connect).unwrap();
    assert_eq!((info.switched, info.framing), (false, Framing::Length(5)));
}
