use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::Reason;

#[test]
fn a_response_of_the_proxy_s_own_says_why() {
    let mut payload = Vec::new();
    let body = local_response(Reason::NoEndpoints, "users.shop:80 has no endpoint", false, &mut payload);
    assert_eq!(body, b"weft: no-endpoints: users.shop:80 has no endpoint\n");
    let head = ResponseHead::read(&payload).unwrap();
    assert_eq!((head.status(), head.reason()), (503, &b"Service Unavailable"[..]));
    assert_eq!(head.framing(), Framing::Length(body.len() as u64));
    assert_eq!(head.field(b"weft-proxy-error"), Some(&b"no-endpoints"[..]));
}

#[test]
fn a_grpc_call_is_answered_in_grpc_s_words() {
    let mut payload = Vec::new();
    let body = local_response(Reason::Denied, "50 %\nof \u{e9}", true, &mut payload);
    assert!(body.is_empty());
    let head = ResponseHead::read(&payload).unwrap();
    assert_eq!((head.status(), head.framing(), head.is_grpc()), (200, Framing::None, true));
    assert_eq!(grpc_status(head.lines()), Some(7));
    assert_eq!(head.field(b"grpc-message"), Some(&b"weft: denied: 50 %25%0Aof %C3%A9"[..]));
}

#[test]
fn every_reason_makes_a_response_that_can_be_read() {
    for reason in Reason::ALL {
        let mut payload = Vec::new();
        local_response(*reason, "", false, &mut payload);
        assert_eq!(ResponseHead::read(&payload).unwrap().status(), reason.status(), "{}", reason.label());
    }
}

#[test]
fn grpc_is_known_by_its_content_type() {
    for fine in ["application/grpc", "application/grpc+proto", "Application/GRPC;x=y"] {
        assert!(is_grpc(fine.as_bytes()), "{fine}");
    }
    for other in ["application/grpc-web", "application/grpcx", "application/json", ""] {
        assert!(!is_grpc(other.as_bytes()), "{other}");
    }
}

#[test]
fn the_grpc_status_is_found_in_lines_of_any_case() {
    assert_eq!(grpc_status(b"a: b\r\nGrpc-Status: 14\r\ngrpc-message: x\r\n"), Some(14));
    assert_eq!(grpc_status(b"grpc-status:0\r\n"), Some(0));
    for lines in ["", "a: b\r\n", "grpc-status: x\r\n", "grpc-status: 256\r\n", "grpc-status: -1\r\n"] {
        assert_eq!(grpc_status(lines.as_bytes()), None, "{lines:?}");
    }
}

#[test]
fn a_grpc_timeout_is_eight_digits_and_a_unit() {
    assert_eq!(grpc_timeout(b"100m"), Some(Duration::from_millis(100)));
    assert_eq!(grpc_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
    for other in ["", "m", "1", "123456789m", "1x", "-1m", " 1m", "1.5S"] {
        assert_eq!(grpc_timeout(other.as_bytes()), None, "{other:?}");
    }
}

#[test]
fn fields_are_found_in_their_order_and_whatever_case() {
    let fields = Fields::new(b"A: 1\r\nb:2\r\nno colon\r\na:  3 \r\nlast: x");
    let all: Vec<_> = fields.clone().map(|field| (field.name, field.value)).collect();
    assert_eq!(all, [(&b"A"[..], &b"1"[..]), (b"b", b"2"), (b"a", b"3"), (b"last", b"x")]);
    assert_eq!((fields.clone().find(b"a"), fields.find(b"c")), (Some(&b"1"[..]), None));
}

#[test]
fn a_payload_that_is_cut_short_or_of_unknown_codes_is_not_read() {
    let whole = b"\x10\x0b\0\0\0\0\0\0\0\0\0\0\0\x03\0\x01GET/";
    assert!(RequestHead::read(whole).is_ok());
    for end in 0..whole.len() {
        assert!(RequestHead::read(&whole[..end]).is_err(), "{end}");
    }
    for (at, byte) in [(0, 15), (0, 255), (1, 30), (2, 4), (2, 3), (3, 0x10), (12, 3), (13, 0), (13, 9), (15, 9)] {
        let mut changed = whole.to_vec();
        changed[at] = byte;
        assert!(RequestHead::read(&changed).is_err(), "{at} {byte}");
    }
}

#[test]
fn a_payload_beyond_any_head_is_not_read() {
    let mut payload = b"\x10\x0b\0\0\0\0\0\0\0\0\0\0\0\x03\0\x01GET/".to_vec();
    payload.resize(Prefix::LONGEST_PAYLOAD, b'x');
    assert!(RequestHead::read(&payload).is_ok());
    payload.push(b'x');
    assert_eq!(RequestHead::read(&payload).unwrap_err().reason(), Reason::HeadTooLarge);
}

proptest! {
    #[test]
    fn a_written_grpc_timeout_is_never_longer_and_hardly_shorter(nanos in any::<u64>()) {
        let limit = Duration::from_nanos(nanos);
        let mut text = Vec::new();
        write_grpc_timeout(limit, &mut text);
        let back = grpc_timeout(&text).unwrap();
        prop_assert!(back <= limit && limit - back <= limit / 100_000, "{limit:?} {back:?}");
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(head) = RequestHead::read(&bytes) {
            let _ = (head.path(), head.query(), head.host(), head.is_grpc(), head.fields().count());
        }
        if let Ok(head) = ResponseHead::read(&bytes) {
            let _ = (head.reason(), head.is_grpc(), head.fields().count());
        }
        let _ = (grpc_status(&bytes), grpc_timeout(&bytes), check_host(&bytes).is_ok());
        let _ = (check_target(b"GET", &bytes).is_ok(), check_target(b"CONNECT", &bytes).is_ok());
    }
}
