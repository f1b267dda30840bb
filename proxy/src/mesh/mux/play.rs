//! Hostile peers, made up: what fuzzing and property tests put against the streams of a link. Not part of a build.

use std::task::{Context, Poll, Waker};

use super::{Delivered, Key, Mux, Side};
use crate::mesh::{
    code::{Refusal, ResetCause},
    error::{LinkError, ProtocolError},
    frames::{self, Flags, Frame, Kind},
    limits::{CONNECTION_HEADS, STREAM_HEADS, STREAM_WINDOW},
    open::{Open, Protocol},
};

/// Runs bytes through a fresh accepting side, without a connection. Gives how many frames were whole.
///
/// # Errors
/// When the bytes break the rules.
pub fn feed(mut bytes: &[u8]) -> Result<usize, ProtocolError> {
    let mut mux = Mux::new(Side::Acceptor, 64);
    let mut count = 0;
    while let Some(frame) = frames::first(bytes)? {
        mux.deliver(frame)?;
        bytes = &bytes[frame.size()..];
        count += 1;
    }
    Ok(count)
}

/// Plays a script against one side of a link: frames of a peer that may break any rule, and what the streams' tasks do
/// meanwhile. The first byte chooses the side; each step is a few bytes more.
///
/// # Errors
/// When the peer broke the rules.
///
/// # Panics
/// When the books of the link are wrong after a step: what it holds for its peer is then not bounded.
pub fn play(script: &[u8]) -> Result<(), ProtocolError> {
    let mut player = Player { mux: Mux::new(Side::Opener, 64), keys: Vec::new(), script };
    if player.byte().is_multiple_of(2) {
        player.mux = Mux::new(Side::Acceptor, 64);
    }
    while !player.script.is_empty() {
        player.step()?;
        player.check();
    }
    player.end();
    Ok(())
}

struct Player<'a> {
    mux: Mux,
    /// Streams that have a task.
    keys: Vec<Key>,
    script: &'a [u8],
}

impl Player<'_> {
    /// The next byte of the script; 0 after its end.
    fn byte(&mut self) -> u8 {
        self.script.split_off_first().copied().unwrap_or(0)
    }

    /// Up to 127 bytes of the script, or so many KiB of zeros.
    fn payload(&mut self) -> Vec<u8> {
        match self.byte() {
            length @ 0..128 => {
                let (bytes, rest) = self.script.split_at(self.script.len().min(length.into()));
                self.script = rest;
                bytes.to_vec()
            }
            kilobytes => vec![0; usize::from(kilobytes - 127) << 10],
        }
    }

    fn step(&mut self) -> Result<(), ProtocolError> {
        match self.byte() % 8 {
            0..3 => self.peer_sends(),
            3 => {
                self.link_does();
                Ok(())
            }
            _ => {
                if let Some(at) = usize::from(self.byte()).checked_rem(self.keys.len()) {
                    self.task_does(at);
                }
                Ok(())
            }
        }
    }

    fn peer_sends(&mut self) -> Result<(), ProtocolError> {
        let (kind, flags, stream) = (Kind(self.byte()), Flags(self.byte()), u32::from(self.byte()));
        let payload = self.payload();
        if let Delivered::Opened(key, _) = self.mux.deliver(Frame { kind, flags, stream, payload: &payload })? {
            self.keys.push(key);
        }
        Ok(())
    }

    fn link_does(&mut self) {
        match self.byte() % 8 {
            0 => self.mux.start_drain(),
            1 => _ = self.mux.ping(),
            2 => self.mux.drain_without_answer(),
            3 => self.mux.trust_peer(),
            4 => self.mux.lose(LinkError::PeerClosed, false),
            5 | 6 => _ = self.write(),
            _ if self.mux.side == Side::Opener => self.keys.extend(self.mux.open(&Open::new(80, Protocol::Http1))),
            _ => {}
        }
    }

    /// What the peer is sent must be frames, and whole.
    fn write(&mut self) -> usize {
        let batch = self.mux.take_batch();
        let mut rest = &batch[..];
        while let Ok(Some(frame)) = frames::first(rest) {
            rest = &rest[frame.size()..];
        }
        assert!(rest.is_empty(), "{} bytes are no frame", rest.len());
        batch.len()
    }

    fn task_does(&mut self, at: usize) {
        let (key, cx) = (self.keys[at], Context::from_waker(Waker::noop()));
        match self.byte() % 12 {
            0 => _ = self.mux.send(key, Kind::HEAD, Flags::NONE, b"head"),
            1 => _ = self.mux.send(key, Kind::TRAILERS, Flags::END, b"trailers"),
            2 => self.mux.accept(key),
            3 => self.mux.refuse(key, Refusal::NotDelivered),
            4 => self.mux.reset(key, ResetCause::Cancelled),
            5 => self.mux.close(self.keys.swap_remove(at)),
            6 | 7 => {
                let (want, end) = (usize::from(self.byte()) << 8, self.byte().is_multiple_of(4));
                if let Poll::Ready(Ok(granted)) = self.mux.poll_credit(key, want, &cx) {
                    self.mux.data(key, &vec![0; granted], end);
                }
            }
            8 => _ = self.mux.poll_accepted(key, &cx).is_ready(),
            9 => {
                let count = usize::from(self.byte()) << 10;
                self.mux.taken(key, count);
            }
            _ => {
                let looked_at = self.byte();
                if let Poll::Ready(Ok(mut received)) = self.mux.poll_received(key, &cx) {
                    (0..looked_at).for_each(|_| _ = received.next());
                    self.mux.put_back(key, received);
                }
            }
        }
    }

    fn check(&self) {
        let mux = &self.mux;
        assert_eq!(mux.by_id.len(), mux.slots.len());
        assert!(mux.by_id.iter().all(|(id, at)| mux.slots.get(*at).is_some_and(|slot| slot.id == *id)));
        let (mut heads, mut held) = (0, 0);
        for (_, slot) in &mux.slots {
            (heads, held) = (heads + slot.heads, held + slot.held);
            assert_eq!(slot.held + slot.returned, slot.unreturned);
            assert!(slot.unreturned <= STREAM_WINDOW && slot.heads <= STREAM_HEADS);
        }
        assert!(heads == mux.heads && heads <= CONNECTION_HEADS);
        assert_eq!(held + mux.returned, mux.unreturned);
        assert!(mux.unreturned <= mux.window && mux.window <= mux.window_most);
    }

    /// All tasks end: nothing is held for them any more.
    fn end(&mut self) {
        self.keys.drain(..).for_each(|key| self.mux.close(key));
        self.check();
        assert_eq!((self.mux.streams(), self.mux.heads, self.mux.returned), (0, 0, self.mux.unreturned));
        self.write();
        assert!(!self.mux.wants_write());
    }
}
