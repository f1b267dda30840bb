//! The golden bytes of docs/mesh-transport.md: what this release writes and reads is what every release does.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::{
    Open, Protocol, Refusal, ResetCause, Trace,
    frames::{self, Flags, Frame, Kind},
};

const SPECIFICATION: &str = include_str!("../../../docs/mesh-transport.md");

/// The list in the specification, by name.
fn listed() -> BTreeMap<String, Vec<u8>> {
    let (_, list) = SPECIFICATION.split_once("```golden\n").unwrap();
    let (list, _) = list.split_once("```").unwrap();
    list.lines().map(|line| line.split_once(' ').unwrap()).map(|(name, hex)| (name.into(), unhex(hex))).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn opens() -> [(&'static str, u32, Open); 4] {
    let all = Open {
        deadline: Some(Duration::from_secs(1)),
        retried: true,
        target: Some(IpAddr::from([10, 0, 0, 1])),
        trace: Some(Trace(std::array::from_fn(|at| at as u8))),
        ..Open::new(80, Protocol::Http2)
    };
    let sixth = IpAddr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    [
        ("open-plain", 1, Open::new(8080, Protocol::Http1)),
        ("open-all", 2, all),
        ("open-undecided-v6", 3, Open { target: Some(sixth), ..Open::new(5222, Protocol::Undecided) }),
        ("open-opaque", 4, Open::new(3389, Protocol::Opaque)),
    ]
}

type Case = (&'static str, Kind, Flags, u32, Vec<u8>);

/// What this release says, but for OPEN.
fn said() -> Vec<Case> {
    let (none, end) = (Flags::NONE, Flags::END);
    vec![
        ("accept", Kind::ACCEPT, none, 1, vec![]),
        ("refuse-not-delivered", Kind::REFUSE, end, 1, Refusal::NotDelivered.code().to_be_bytes().into()),
        ("refuse-denied", Kind::REFUSE, end, 1, Refusal::Denied.code().to_be_bytes().into()),
        ("head", Kind::HEAD, none, 1, b"head".into()),
        ("head-end", Kind::HEAD, end, 1, b"head".into()),
        ("head-interim", Kind::HEAD, Flags::INTERIM, 1, b"100".into()),
        ("data", Kind::DATA, none, 1, b"abc".into()),
        ("data-end", Kind::DATA, end, 1, b"abc".into()),
        ("end", Kind::DATA, end, 1, vec![]),
        ("trailers", Kind::TRAILERS, end, 1, b"a: 1\r\n".into()),
        ("credit-stream", Kind::CREDIT, none, 1, 131_072_u32.to_be_bytes().into()),
        ("credit-connection", Kind::CREDIT, none, 0, 2_097_152_u32.to_be_bytes().into()),
        ("reset-cancelled", Kind::RESET, none, 1, ResetCause::Cancelled.code().to_be_bytes().into()),
        ("reset-tcp", Kind::RESET, none, 1, ResetCause::TcpReset.code().to_be_bytes().into()),
        ("ping", Kind::PING, none, 0, 1_u64.to_be_bytes().into()),
        ("ping-ack", Kind::PING, Flags::ACK, 0, 1_u64.to_be_bytes().into()),
        ("goaway-drain", Kind::GOAWAY, none, 0, i32::MAX.to_be_bytes().into()),
        ("goaway-last", Kind::GOAWAY, none, 0, 7_u32.to_be_bytes().into()),
    ]
}

#[test]
fn this_release_writes_and_reads_the_golden_frames() {
    let listed = listed();
    for (name, kind, flags, stream, payload) in said() {
        let frame = Frame { kind, flags, stream, payload: &payload };
        let mut written = Vec::new();
        frame.put(&mut written);
        assert_eq!(written, listed[name], "{name}");
        assert_eq!(frames::first(&listed[name]), Ok(Some(frame)), "{name}");
    }
}

#[test]
fn this_release_writes_and_reads_the_golden_opens() {
    let listed = listed();
    for (name, stream, open) in opens() {
        let mut written = Vec::new();
        frames::put_with(&mut written, Kind::OPEN, stream, |out| open.put(out));
        assert_eq!(written, listed[name], "{name}");
        let frame = frames::first(&listed[name]).unwrap().unwrap();
        assert_eq!((frame.stream, Open::read(frame.payload)), (stream, Ok(open)), "{name}");
    }
}

#[test]
fn no_golden_bytes_are_left_unread() {
    let read = said().len() + opens().len();
    assert_eq!(listed().len(), read);
}
