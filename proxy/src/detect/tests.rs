use super::*;

#[test]
fn protocols_are_told_apart_by_their_first_bytes() {
    assert_eq!(detect(b"GET / HTTP/1.1\r\n"), Detected::Http1);
    assert_eq!(detect(PREFACE), Detected::Http2);
    assert_eq!(detect(&[0x16, 3, 1, 2, 0, 1]), Detected::Tls);
    assert_eq!(detect(b"GET key\r\n"), Detected::Opaque);
    assert_eq!(detect(b""), Detected::More);
}
