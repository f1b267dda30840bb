//! The streams of a link, frame by frame: no socket, no clock.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::mesh::{
    error::ProtocolError,
    inbox::Event,
    limits::{CONNECTION_WINDOW, CONNECTION_WINDOW_MOST, MAX_ID, PIECE, STREAM_WINDOW},
    open::Protocol,
};

const OPEN: Open =
    Open { target_port: 80, protocol: Protocol::Http1, deadline: None, retried: false, target: None, trace: None };

fn opener() -> Mux {
    Mux::new(Side::Opener, 100)
}

fn acceptor() -> Mux {
    Mux::new(Side::Acceptor, 100)
}

fn frame(kind: Kind, stream: u32, payload: &[u8]) -> Frame<'_> {
    Frame { kind, flags: Flags::NONE, stream, payload }
}

/// An accepting side on which the peer has opened stream 1.
fn with_stream() -> (Mux, Key) {
    let mut mux = acceptor();
    let key = deliver_open(&mut mux, 1).unwrap();
    (mux, key)
}

fn deliver_open(mux: &mut Mux, id: u32) -> Result<Key, ProtocolError> {
    let mut payload = Vec::new();
    OPEN.put(&mut payload);
    match mux.deliver(frame(Kind::OPEN, id, &payload))? {
        Delivered::Opened(key, open) => {
            assert_eq!(open, OPEN);
            Ok(key)
        }
        Delivered::Nothing => panic!("stream {id} was not opened"),
    }
}

fn written(mux: &mut Mux) -> Vec<(Kind, u32, Vec<u8>)> {
    let bytes = mux.take_batch();
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while let Some(frame) = frames::first(rest).unwrap() {
        frames.push((frame.kind, frame.stream, frame.payload.to_vec()));
        rest = &rest[frame.size()..];
    }
    frames
}

/// Carries everything that `from` has for `to`; gives the streams that it opened there.
fn carry(from: &mut Mux, to: &mut Mux) -> Vec<Key> {
    let mut opened = Vec::new();
    let bytes = from.take_batch();
    let mut rest = &bytes[..];
    while let Some(frame) = frames::first(rest).unwrap() {
        rest = &rest[frame.size()..];
        if let Delivered::Opened(key, _) = to.deliver(frame).unwrap() {
            opened.push(key);
        }
    }
    opened
}

fn credit(mux: &mut Mux, key: Key, want: usize) -> Option<Result<usize, StreamError>> {
    match mux.poll_credit(key, want, &Context::from_waker(Waker::noop())) {
        Poll::Ready(granted) => Some(granted),
        Poll::Pending => None,
    }
}

fn received(mux: &mut Mux, key: Key) -> Option<Result<Received, StreamError>> {
    match mux.poll_received(key, &Context::from_waker(Waker::noop())) {
        Poll::Ready(received) => Some(received),
        Poll::Pending => None,
    }
}

/// Sends as much as may go into the next write.
fn pump(mux: &mut Mux, key: Key) -> usize {
    let mut sent = 0;
    while let Some(Ok(granted)) = credit(mux, key, PIECE) {
        mux.data(key, &vec![7; granted], false);
        sent += granted;
    }
    sent
}

#[test]
fn ids_rise_and_a_slot_that_is_used_again_is_another_stream() {
    let mut mux = opener();
    let first = mux.open(&OPEN).unwrap();
    mux.close(first);
    let second = mux.open(&OPEN).unwrap();
    assert_eq!((first.at, second.id), (second.at, first.id + 1));
    mux.deliver(frame(Kind::HEAD, first.id, b"late")).unwrap();
    assert!(received(&mut mux, second).is_none());
    assert!(matches!(received(&mut mux, first), Some(Err(_))));
    mux.send(first, Kind::HEAD, Flags::NONE, b"late");
    let kinds: Vec<_> = written(&mut mux).into_iter().map(|(kind, stream, _)| (kind, stream)).collect();
    assert_eq!(kinds, [(Kind::OPEN, 1), (Kind::RESET, 1), (Kind::OPEN, 2)]);
}

#[test]
fn what_is_over_on_both_sides_is_closed_without_a_word() {
    let (mut mux, key) = with_stream();
    mux.deliver(Frame { flags: Flags::END, ..frame(Kind::HEAD, 1, b"request") }).unwrap();
    mux.send(key, Kind::HEAD, Flags::END, b"response");
    mux.close(key);
    assert_eq!(written(&mut mux).len(), 1);
    assert_eq!(mux.streams(), 0);
}

#[test]
fn an_opener_stops_at_a_stream_s_credit_and_goes_on_when_it_is_given_back() {
    let (mut near, mut far) = (opener(), acceptor());
    let key = near.open(&OPEN).unwrap();
    let mut sent = 0;
    let mut accepted = Vec::new();
    for _ in 0..8 {
        sent += pump(&mut near, key);
        accepted.extend(carry(&mut near, &mut far));
    }
    assert_eq!(sent, STREAM_WINDOW as usize);
    far.taken(accepted[0], sent / 2);
    carry(&mut far, &mut near);
    assert_eq!(credit(&mut near, key, 100).unwrap().unwrap(), 100);
}

#[test]
fn the_connection_s_credit_is_shared_and_given_back_by_streams_that_close() {
    let (mut near, mut far) = (opener(), acceptor());
    let mut streams = Vec::new();
    for _ in 0..CONNECTION_WINDOW / STREAM_WINDOW {
        let key = near.open(&OPEN).unwrap();
        while pump(&mut near, key) > 0 {
            streams.extend(carry(&mut near, &mut far));
        }
    }
    assert!(near.is_blocked());
    let key = near.open(&OPEN).unwrap();
    assert!(credit(&mut near, key, 1).is_none());
    streams.into_iter().for_each(|key| far.close(key));
    carry(&mut far, &mut near);
    assert_eq!(near.credit, CONNECTION_WINDOW);
    assert_eq!(credit(&mut near, key, 1).unwrap().unwrap(), 1);
}

#[test]
fn an_opener_takes_more_for_the_others_while_streams_are_not_read_up_to_a_bound() {
    let many = (CONNECTION_WINDOW_MOST / STREAM_WINDOW) as usize;
    let (mut near, mut far) = (Mux::new(Side::Opener, 2 * many), Mux::new(Side::Acceptor, 2 * many));
    let stalled = |near: &mut Mux, far: &mut Mux| {
        near.open(&OPEN).unwrap();
        let key = carry(near, far)[0];
        let mut sent = 0;
        loop {
            match pump(far, key) {
                0 => break,
                more => sent += more,
            }
            carry(far, near);
            carry(near, far);
        }
        sent == STREAM_WINDOW as usize
    };
    for stream in 0..many {
        assert!(!near.is_blocked() && stalled(&mut near, &mut far), "stream {stream}");
    }
    assert!(near.is_blocked() && !stalled(&mut near, &mut far));
}

#[test]
fn a_grant_is_kept_until_it_is_used_and_given_to_others_if_it_is_not() {
    let mut mux = opener();
    let key = mux.open(&OPEN).unwrap();
    assert_eq!(credit(&mut mux, key, 1000).unwrap().unwrap(), 1000);
    assert_eq!(credit(&mut mux, key, 1000).unwrap().unwrap(), 1000);
    assert_eq!(mux.credit, CONNECTION_WINDOW - 1000);
    mux.data(key, &[0; 400], false);
    mux.close(key);
    assert_eq!(mux.credit, CONNECTION_WINDOW - 400);
}

#[test]
fn a_big_stream_leaves_room_for_others_in_each_write() {
    let mut mux = opener();
    let (big, small) = (mux.open(&OPEN).unwrap(), mux.open(&OPEN).unwrap());
    let first = pump(&mut mux, big);
    assert!(first <= 64 << 10, "{first}");
    assert_eq!(credit(&mut mux, small, 100).unwrap().unwrap(), 100);
    let _ = mux.take_batch();
    assert!(pump(&mut mux, big) > 0);
}

#[test]
fn a_stream_that_was_never_taken_for_a_write_is_lost_undelivered() {
    let mut mux = opener();
    let written = mux.open(&OPEN).unwrap();
    let _ = mux.take_batch();
    let waiting = mux.open(&OPEN).unwrap();
    assert!(mux.was_written(written) && !mux.was_written(waiting));
    mux.lose(LinkError::PeerClosed, false);
    assert!(matches!(mux.fate(written), Some(StreamError::Lost { delivered: true, .. })));
    assert!(matches!(mux.fate(waiting), Some(StreamError::Lost { delivered: false, .. })));
    assert!(matches!(mux.open(&OPEN), Err(OpenError::Dead(_))));
}

#[test]
fn streams_above_goaway_s_last_id_are_lost_undelivered_and_the_others_go_on() {
    let mut mux = opener();
    let (served, late) = (mux.open(&OPEN).unwrap(), mux.open(&OPEN).unwrap());
    let _ = mux.take_batch();
    mux.deliver(frame(Kind::GOAWAY, 0, &1_u32.to_be_bytes())).unwrap();
    let lost = mux.fate(late).unwrap();
    assert!(matches!(lost, StreamError::Lost { delivered: false, cause: LinkError::GoneAway }));
    assert_eq!(lost.reason().verdict(), crate::error::Verdict::NeverDelivered);
    assert!(mux.fate(served).is_none());
    assert!(matches!(mux.open(&OPEN), Err(OpenError::Draining)));
}

#[test]
fn a_draining_acceptor_serves_what_was_opened_before_the_peer_heard() {
    let mut mux = acceptor();
    mux.start_drain();
    let asked = written(&mut mux);
    assert_eq!(asked[0], (Kind::GOAWAY, 0, MAX_ID.to_be_bytes().to_vec()));
    let key = deliver_open(&mut mux, 1).unwrap();
    assert!(!mux.is_drained());
    mux.deliver(Frame { flags: Flags::ACK, ..frame(Kind::PING, 0, &asked[1].2) }).unwrap();
    assert!(!mux.is_drained());
    mux.close(key);
    assert!(mux.is_drained());
}

#[test]
fn kinds_and_flags_of_later_releases_are_skipped_unless_they_must_be_understood() {
    let (mut mux, key) = with_stream();
    for kind in 11..0x80 {
        mux.deliver(frame(Kind(kind), 1, b"?")).unwrap();
        mux.deliver(frame(Kind(kind), 0, b"?")).unwrap();
    }
    mux.deliver(Frame { flags: Flags(0xf8), ..frame(Kind::HEAD, 1, b"head") }).unwrap();
    let mut came = received(&mut mux, key).unwrap().unwrap();
    assert_eq!(came.next(), Some(Event::Head { payload: b"head", interim: false, end: false }));
    mux.deliver(frame(Kind(0x80), 1, b"?")).unwrap();
    assert!(matches!(mux.fate(key), Some(StreamError::Reset(ResetCause::Unsupported))));
    assert_eq!(written(&mut mux)[0].0, Kind::RESET);
    assert_eq!(mux.deliver(frame(Kind(0x80), 0, b"?")), Err(ProtocolError::Unsupported(0x80)));
}

#[test]
fn an_open_of_a_later_release_is_refused_and_its_frames_are_dropped() {
    let mut mux = acceptor();
    mux.deliver(frame(Kind::OPEN, 1, &[99, 0, 80])).unwrap();
    let refused = Refusal::Unsupported.code().to_be_bytes().to_vec();
    assert_eq!(written(&mut mux), [(Kind::REFUSE, 1, refused)]);
    mux.deliver(frame(Kind::DATA, 1, &[0; 1000])).unwrap();
    assert_eq!((mux.streams(), mux.returned), (0, 1000));
}

#[test]
fn payloads_that_have_grown_are_read_and_short_ones_break_the_rules() {
    let (mut mux, key) = with_stream();
    mux.deliver(frame(Kind::CREDIT, 1, &[0, 0, 0, 5, 9, 9])).unwrap();
    assert_eq!(mux.slot(key).unwrap().credit, STREAM_WINDOW + 5);
    assert_eq!(mux.deliver(frame(Kind::CREDIT, 1, &[0, 0, 5])), Err(ProtocolError::Malformed(7)));
    assert_eq!(mux.deliver(frame(Kind::PING, 0, &[0; 7])), Err(ProtocolError::Malformed(9)));
}

#[test]
fn many_pings_are_answered_once() {
    let mut mux = acceptor();
    for number in 0..10_000_u64 {
        mux.deliver(frame(Kind::PING, 0, &number.to_be_bytes())).unwrap();
    }
    assert_eq!(written(&mut mux), [(Kind::PING, 0, 9_999_u64.to_be_bytes().to_vec())]);
    assert!(!mux.wants_write());
}

#[test]
fn heads_that_nobody_takes_are_bounded_by_stream_and_by_connection() {
    let (mut mux, key) = with_stream();
    let head = vec![0; 100 << 10];
    mux.deliver(frame(Kind::HEAD, 1, &head)).unwrap();
    mux.deliver(frame(Kind::HEAD, 1, &head)).unwrap();
    assert_eq!(mux.deliver(frame(Kind::HEAD, 1, &head)), Err(ProtocolError::Heads(1)));
    mux.close(key);
    assert_eq!(mux.heads, 0);
    let keys: Vec<_> = (2..90).map(|id| deliver_open(&mut mux, id).unwrap()).collect();
    (2..90).for_each(|id| assert!(mux.deliver(frame(Kind::HEAD, id, &head)).is_ok()));
    assert!(mux.heads <= 8 << 20);
    assert!(mux.fate(keys[0]).is_none());
    assert!(matches!(mux.fate(keys[87]), Some(StreamError::Reset(ResetCause::Overloaded))));
}

#[test]
fn each_broken_rule_has_its_name() {
    let broken = |frames: &[Frame<'_>]| {
        let (mut mux, _) = with_stream();
        frames.iter().find_map(|frame| mux.deliver(*frame).err())
    };
    let end = Frame { flags: Flags::END, ..frame(Kind::HEAD, 1, b"h") };
    assert_eq!(broken(&[end, end]), Some(ProtocolError::EndTwice { kind: 4, stream: 1 }));
    assert_eq!(broken(&[frame(Kind::OPEN, 1, &[1, 0, 80])]), Some(ProtocolError::StaleId(1)));
    assert_eq!(broken(&[frame(Kind::OPEN, 1 << 31, &[1, 0, 80])]), Some(ProtocolError::StaleId(1 << 31)));
    assert_eq!(broken(&[frame(Kind::OPEN, 3, &[1])]), Some(ProtocolError::Malformed(1)));
    assert_eq!(broken(&[frame(Kind::HEAD, 2, b"h")]), Some(ProtocolError::Unopened(2)));
    assert_eq!(broken(&[frame(Kind::DATA, 0, b"d")]), Some(ProtocolError::Unopened(0)));
    assert_eq!(broken(&[frame(Kind::ACCEPT, 1, b"")]), Some(ProtocolError::Direction { kind: 2, stream: 1 }));
    let most = frame(Kind::CREDIT, 1, &[0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(broken(&[most]), Some(ProtocolError::CreditOverflow(1)));
    let data = vec![0; 100 << 10];
    assert_eq!(broken(&[frame(Kind::DATA, 1, &data); 3]), Some(ProtocolError::OverCredit(1)));
}

#[test]
fn the_connection_s_credit_binds_a_peer_that_closes_streams_as_it_goes() {
    let mut mux = acceptor();
    let data = vec![0; STREAM_WINDOW as usize / 2];
    let broke = (1..100).find_map(|id| {
        deliver_open(&mut mux, id).unwrap();
        (0..2).find_map(|_| mux.deliver(frame(Kind::DATA, id, &data)).err())
    });
    assert_eq!(broke, Some(ProtocolError::OverCredit(0)));
}

#[test]
fn an_answer_that_comes_twice_or_late_breaks_the_rules() {
    let mut mux = opener();
    mux.open(&OPEN).unwrap();
    mux.deliver(frame(Kind::HEAD, 1, b"h")).unwrap();
    let refuse = frame(Kind::REFUSE, 1, &[0, 1]);
    assert_eq!(mux.deliver(refuse), Err(ProtocolError::AnsweredTwice(1)));
    assert_eq!(mux.deliver(frame(Kind::OPEN, 1, b"")), Err(ProtocolError::Direction { kind: 1, stream: 1 }));
}

/// What one side of a property test does next, to the stream of that number.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Send { near: bool, stream: usize, count: usize, end: bool },
    Read { near: bool, stream: usize },
    Close { near: bool, stream: usize },
    Carry { near: bool },
}

fn any_step() -> impl Strategy<Value = Step> {
    let (side, stream) = (any::<bool>(), 0_usize..6);
    prop_oneof![
        1 => Just(Step::Open),
        4 => (side, stream.clone(), 1_usize..200_000, prop::bool::weighted(0.1))
            .prop_map(|(near, stream, count, end)| Step::Send { near, stream, count, end }),
        4 => (side, stream.clone()).prop_map(|(near, stream)| Step::Read { near, stream }),
        1 => (side, stream).prop_map(|(near, stream)| Step::Close { near, stream }),
        4 => side.prop_map(|near| Step::Carry { near }),
    ]
}

/// Two sides, and the streams of each.
struct Two {
    muxes: [Mux; 2],
    keys: [Vec<Key>; 2],
}

impl Two {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open => {
                let key = self.muxes[0].open(&OPEN).unwrap();
                self.keys[0].push(key);
            }
            Step::Send { near, stream, count, end } => self.each(near, stream, |mux, key| {
                if let Some(Ok(granted)) = credit(mux, key, count) {
                    mux.data(key, &vec![1; granted], end);
                }
            }),
            Step::Read { near, stream } => self.each(near, stream, |mux, key| {
                if let Some(Ok(mut came)) = received(mux, key) {
                    let mut count = 0;
                    while let Some(event) = came.next() {
                        count += if let Event::Data { bytes, .. } = event { bytes.len() } else { 0 };
                    }
                    mux.taken(key, count);
                }
            }),
            Step::Close { near, stream } => self.each(near, stream, Mux::close),
            Step::Carry { near } => self.carry(near),
        }
    }

    fn each(&mut self, near: bool, stream: usize, act: impl FnOnce(&mut Mux, Key)) {
        let side = usize::from(!near);
        if let Some(key) = self.keys[side].get(stream) {
            act(&mut self.muxes[side], *key);
        }
    }

    fn carry(&mut self, near: bool) {
        let [first, second] = &mut self.muxes;
        let opened = if near { carry(first, second) } else { carry(second, first) };
        self.keys[1].extend(opened);
    }
}

proptest! {
    #[test]
    fn honest_sides_never_break_the_rules_and_all_credit_comes_back(steps in prop::collection::vec(any_step(), 1..200)) {
        let mut two = Two { muxes: [opener(), acceptor()], keys: [Vec::new(), Vec::new()] };
        steps.iter().for_each(|step| two.step(step));
        two.carry(true);
        for side in 0..2 {
            let keys = std::mem::take(&mut two.keys[side]);
            keys.into_iter().for_each(|key| two.muxes[side].close(key));
        }
        (0..2).for_each(|_| { two.carry(true); two.carry(false); });
        let [near, far] = &two.muxes;
        prop_assert_eq!((near.streams(), far.streams(), near.heads, far.heads), (0, 0, 0, 0));
        prop_assert_eq!(near.credit + far.returned, far.window);
        prop_assert_eq!(far.credit + near.returned, near.window);
        prop_assert_eq!((near.unreturned, far.unreturned), (near.returned, far.returned));
    }

    #[test]
    fn any_script_leaves_the_books_of_a_link_in_order(script in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = play(&script);
    }

    #[test]
    fn any_bytes_end_in_frames_or_in_a_broken_rule(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = feed(&bytes);
    }

    #[test]
    fn any_frames_end_in_an_answer_or_in_a_broken_rule(
        frames in prop::collection::vec((0_u8..13, 0_u8..8, 0_u32..4, prop::collection::vec(any::<u8>(), 0..12)), 0..60),
    ) {
        let mut bytes = Vec::new();
        frames::put_with(&mut bytes, Kind::OPEN, 1, |out| OPEN.put(out));
        for (kind, flags, stream, payload) in &frames {
            Frame { kind: Kind(*kind), flags: Flags(*flags), stream: *stream, payload }.put(&mut bytes);
        }
        let _ = feed(&bytes);
    }
}
