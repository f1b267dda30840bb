use proptest::prelude::*;

use super::*;

/// A ClientHello for `name`, with another extension before it.
fn client_hello(name: &str) -> Vec<u8> {
    let word = |n: usize| (n as u16).to_be_bytes();
    let length = name.len();
    let server_name =
        [&word(0)[..], &word(length + 5), &word(length + 3), &[0], &word(length), name.as_bytes()].concat();
    let extensions = [&[0, 23, 0, 0][..], &server_name].concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[4, 1, 2, 3, 4],       // session
        &[0, 2, 0x13, 1, 1, 0], // suites, compressions
        &word(extensions.len()),
        &extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &word(body.len()), &body].concat();
    [&[0x16, 3, 1][..], &word(message.len()), &message].concat()
}

#[test]
fn protocols_are_told_apart_by_their_first_bytes() {
    let long = format!("GET /{}", "x".repeat(LIMIT));
    let cases: &[(&[u8], Detected)] = &[
        (b"", Detected::More),
        (b"GET / HTTP/1.1\r\n", Detected::Http1),
        (b"GET / HTTP/1.0\r\n", Detected::Http1),
        (b"M-SEARCH * HTTP/1.1\r\n", Detected::Http1),
        (b"OPTIONS * HTTP/1.1\r\n", Detected::Http1),
        (b"CONNECT a:80 HTTP/1.1\r\n", Detected::Http1),
        (b"PROPFIND /a?b=c HTTP/1.1", Detected::Http1),
        (long.as_bytes(), Detected::Http1),
        (b"GET", Detected::More),
        (b"GET / HTTP/1.", Detected::More),
        (PREFACE, Detected::Http2),
        (&PREFACE[..23], Detected::More),
        (b"PRI * HTTP/2.0\r\n\r\nXX", Detected::Opaque),
        (&[0x16, 3, 1, 2, 0, 1], Detected::Tls),
        (&[0x16, 3, 1, 2, 0], Detected::More),
        (&[0x16], Detected::More),
        (&[0x16, 3, 1, 2, 0, 2], Detected::Opaque),
        (&[0x16, 2], Detected::Opaque),
        (&[0x16, 3, 1, 0x50], Detected::Opaque),
        (b"GET key\r\n", Detected::Opaque),
        (b"get key\r\n", Detected::Opaque),
        (b"SET a b\r\n", Detected::Opaque),
        (b"PING\r\n", Detected::Opaque),
        (b"EHLO mail.example HTTP\r\n", Detected::Opaque),
        (b"*1\r\n$4\r\nPING\r\n", Detected::Opaque),
        (b"SSH-2.0-OpenSSH_9\r\n", Detected::Opaque),
        (b"GET / HTTP/2.0\r\n", Detected::Opaque),
        (b"GET / HTTP/1.x\r\n", Detected::Opaque),
        (b"GET  / HTTP/1.1\r\n", Detected::Opaque),
        (b" GET / HTTP/1.1\r\n", Detected::Opaque),
        (b"\r\n", Detected::Opaque),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", Detected::Opaque),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", Detected::Opaque),
    ];
    for (bytes, detected) in cases {
        assert_eq!(detect(bytes), *detected, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn the_server_name_is_read_from_a_client_hello() {
    let hello = client_hello("users.shop.svc");
    assert_eq!((detect(&hello), server_name(&hello)), (Detected::Tls, Some("users.shop.svc")));
    for end in 0..hello.len() {
        assert_eq!(server_name(&hello[..end]), None, "{end}");
    }
    for name in ["", "a b", "a\n", "\u{e9}"] {
        assert_eq!(server_name(&client_hello(name)), None, "{name:?}");
    }
    assert_eq!(server_name(b"GET / HTTP/1.1\r\n"), None);
}

proptest! {
    #[test]
    fn a_decision_once_made_stands(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "(GET|PRI|post|X) (/[a-z]{0,5}|\\*) (HTTP/(1.1|2.0|x)|y)(\r\n)?".prop_map(String::into_bytes),
    ]) {
        let whole = detect(&bytes);
        for end in 0..bytes.len() {
            let part = detect(&bytes[..end]);
            prop_assert!(part == Detected::More || part == whole, "{part:?} of {end}, then {whole:?}");
        }
    }

    #[test]
    fn no_client_hello_makes_the_reader_panic(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let mut hello = client_hello("a.b");
        let (at, cut) = (at.index(hello.len()), cut.index(hello.len()));
        hello[at] = byte;
        let _ = (server_name(&hello), server_name(&hello[..cut]), detect(&hello));
    }
}
