//! A task's end of a stream.

use std::{future::poll_fn, rc::Rc};

use weft_certs::SpiffeId;

use super::{
    code::{Refusal, ResetCause},
    error::StreamError,
    frames::{Flags, Kind},
    inbox::Received,
    link::Link,
    mux::Key,
};

/// One exchange or one connection of an app, across a [`Link`].
///
/// What is sent goes out with the next write of the link's; nothing but [`Self::credit`] waits. After the stream is over
/// (by END, RESET, REFUSE or the loss of the link) sending does nothing, and waiting returns why. Dropped before both ends
/// are over, the peer is told [`ResetCause::Cancelled`].
pub struct Stream {
    link: Rc<Link>,
    key: Key,
}

impl Stream {
    pub(super) fn new(link: Rc<Link>, key: Key) -> Self {
        Self { link, key }
    }

    /// Who the peer proved to be; `None` while the handshake lasts.
    pub fn peer(&self) -> Option<SpiffeId> {
        self.link.peer()
    }

    /// Whether what is sent waits for the link to be made.
    pub fn waits_for_link(&self) -> bool {
        !self.link.is_up()
    }

    /// Tells the opener that the app took the stream. Only needed where nothing is sent at once: a head or data implies it.
    pub fn accept(&self) {
        self.link.mux(|mux| mux.accept(self.key));
    }

    /// Tells the opener that nothing reached the app; the stream is over. After an answer has begun it is a reset.
    pub fn refuse(&self, refusal: Refusal) {
        self.link.mux(|mux| mux.refuse(self.key, refusal));
    }

    /// Sends a message's head: at most 128 KiB.
    pub fn head(&self, payload: &[u8], end: bool) {
        self.send(Kind::HEAD, Flags::end(end), payload);
    }

    /// Sends the head of an interim response (1xx).
    pub fn interim_head(&self, payload: &[u8]) {
        self.send(Kind::HEAD, Flags::INTERIM, payload);
    }

    /// Waits until at least one byte of DATA may be sent, and gives how many of `want` may be (at most [`super::PIECE`]).
    ///
    /// What is granted stays granted until it is sent, so a call that is cancelled or repeated loses nothing. 0 only for a
    /// `want` of 0.
    ///
    /// # Errors
    /// When the stream is over.
    pub async fn credit(&self, want: usize) -> Result<usize, StreamError> {
        poll_fn(|cx| self.link.mux(|mux| mux.poll_credit(self.key, want, cx))).await
    }

    /// Sends DATA: at most as much as [`Self::credit`] granted.
    pub fn data(&self, bytes: &[u8], end: bool) {
        self.link.mux(|mux| mux.data(self.key, bytes, end));
    }

    /// Sends fields after the body: at most 128 KiB. Our half is over.
    pub fn trailers(&self, lines: &[u8]) {
        self.send(Kind::TRAILERS, Flags::END, lines);
    }

    /// Ends our half without another byte.
    pub fn end(&self) {
        self.send(Kind::DATA, Flags::END, &[]);
    }

    /// Breaks the stream off, both halves.
    pub fn reset(&self, cause: ResetCause) {
        self.link.mux(|mux| mux.reset(self.key, cause));
    }

    /// Waits until the peer accepted the stream (or answered at once, which implies it).
    ///
    /// # Errors
    /// When it refused, or the stream is over otherwise.
    pub async fn accepted(&self) -> Result<(), StreamError> {
        poll_fn(|cx| self.link.mux(|mux| mux.poll_accepted(self.key, cx))).await
    }

    /// Waits for what comes, and gives all of it. Cancel-safe.
    ///
    /// After the peer's END this waits for what may still happen to our half: a task that still sends finds out here that
    /// the peer does not want it any more.
    ///
    /// # Errors
    /// When the stream is over; what came before is given first.
    pub async fn received(&self) -> Result<Received, StreamError> {
        poll_fn(|cx| self.link.mux(|mux| mux.poll_received(self.key, cx))).await
    }

    /// The far app took `count` bytes of DATA: in time, the peer may send as many more.
    pub fn taken(&self, count: usize) {
        self.link.mux(|mux| mux.taken(self.key, count));
    }

    /// Puts back what was received and not looked at: it is received again, before what came since.
    pub fn put_back(&self, received: Received) {
        self.link.mux(|mux| mux.put_back(self.key, received));
    }

    /// Whether the peer's half is over, with all that came of it perhaps still to be received.
    pub fn peer_has_ended(&self) -> bool {
        self.link.mux(|mux| mux.peer_has_ended(self.key))
    }

    /// Whether ACCEPT, or what implies it, was sent or has come.
    pub fn is_accepted(&self) -> bool {
        self.link.mux(|mux| mux.is_accepted(self.key))
    }

    /// Bytes of DATA that came, and that were sent.
    pub fn carried(&self) -> (u64, u64) {
        self.link.mux(|mux| mux.carried(self.key))
    }

    /// Why the stream cannot go on, if so; without waiting.
    pub fn failure(&self) -> Option<StreamError> {
        self.link.mux(|mux| mux.fate(self.key))
    }

    /// Whether any byte of this stream was handed to the socket. False proves that nothing reached the app.
    pub fn written(&self) -> bool {
        self.link.mux(|mux| mux.was_written(self.key))
    }

    fn send(&self, kind: Kind, flags: Flags, payload: &[u8]) {
        self.link.mux(|mux| _ = mux.send(self.key, kind, flags, payload));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.link.mux(|mux| mux.close(self.key));
    }
}
