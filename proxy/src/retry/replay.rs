//! A copy of what a request has sent so far, for another try. Bounded: a longer body is sent once and not again.

/// The longest body that is kept, in bytes.
pub const REPLAY_LIMIT: usize = 64 * 1024;

/// The body of a request as far as it has come.
#[derive(Debug, Default)]
pub struct Replay {
    body: Vec<u8>,
    trailers: Option<Vec<u8>>,
    ended: bool,
    lost: bool,
}

impl Replay {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the body were sent.
    pub fn data(&mut self, bytes: &[u8]) {
        if self.lost || bytes.len() > REPLAY_LIMIT - self.body.len() {
            self.give_up();
        } else {
            self.body.extend_from_slice(bytes);
        }
    }

    /// How many bytes more it takes.
    pub fn room(&self) -> usize {
        if self.lost { 0 } else { REPLAY_LIMIT - self.body.len() }
    }

    /// The request is whole, with these trailers.
    pub fn end(&mut self, trailers: Option<&[u8]>) {
        self.trailers = trailers.map(<[u8]>::to_vec);
        self.ended = true;
    }

    /// No other try will follow: the copy is freed.
    pub fn give_up(&mut self) {
        self.lost = true;
        self.body = Vec::new();
    }

    /// What another try has to send first; None: it has become too long.
    pub fn again(&self) -> Option<Again<'_>> {
        (!self.lost).then_some(Again { body: &self.body, trailers: self.trailers.as_deref(), ended: self.ended })
    }
}

/// What another try sends before it goes on with the client's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again<'a> {
    /// The body so far.
    pub body: &'a [u8],
    /// Field lines, when they have come.
    pub trailers: Option<&'a [u8]>,
    /// The request is whole: nothing follows.
    pub ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_within_the_limit_is_replayed_whole() {
        let mut replay = Replay::new();
        replay.data(&[b'a'; REPLAY_LIMIT - 1]);
        replay.data(b"b");
        replay.end(Some(b"t: 1\r\n"));
        let again = replay.again().unwrap();
        assert_eq!((again.body.len(), again.trailers, again.ended), (REPLAY_LIMIT, Some(&b"t: 1\r\n"[..]), true));
    }

    #[test]
    fn a_longer_body_is_not_kept() {
        let mut replay = Replay::new();
        replay.data(&[b'a'; REPLAY_LIMIT]);
        replay.data(b"b");
        assert_eq!(replay.again(), None);
        replay.data(b"c");
        replay.end(None);
        assert_eq!((replay.again(), replay.body.capacity()), (None, 0));
    }
}
