//! What drives a link: one task, which reads what comes and writes what the tasks of a turn have gathered.
//!
//! A turn: what waits is encrypted and written at once; what comes is decrypted and put into the inboxes, whose tasks are
//! woken. They append to the link's buffer and wake this task again, behind themselves: so many frames share a write.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::SystemTime,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};
use weft_certs::Peer;

use super::{
    Asked, Incoming, Link, LinkEnd, goodbye, idle,
    keeper::{Due, Times},
};
use crate::{
    buffer::Buf,
    mesh::{
        ALPN,
        error::{LinkError, ProtocolError},
        frames,
        limits::BACKLOG_MOST,
        mux::Delivered,
        tls::Tls,
    },
};

/// Memory that is kept for the next write, if the last one needed less.
const TRIM: usize = 64 << 10;
/// Reads in a row before others get their turn.
const READS: usize = 4;

/// Runs a link over its connection until one of them is over.
pub(super) async fn run<T, F>(link: &Rc<Link>, io: T, on_open: F) -> LinkEnd
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(Incoming),
{
    let lost_early = Lost(link);
    let Some(tls) = link.tls.take() else {
        let cause = link.state.borrow().mux.lost().cloned().unwrap_or(LinkError::Closed);
        return LinkEnd { cause, established: false };
    };
    let mut driver = Driver::new(link, io, tls);
    let mut on_open = on_open;
    let mut sleep = std::pin::pin!(tokio::time::sleep_until(driver.times.started + link.limits.handshake));
    let cause = poll_fn(|cx| driver.poll(cx, sleep.as_mut(), &mut on_open)).await;
    let unread = driver.is_refused_in_handshake(&cause);
    let established = driver.times.up && !unread;
    link.mux(|mux| mux.lose(cause.clone(), unread));
    link.state.borrow_mut().waits_for_up.take().into_iter().for_each(Waker::wake);
    drop(lost_early);
    goodbye::say(driver.io, &driver.out[driver.sent..]).await;
    LinkEnd { cause, established }
}

/// Loses the link when its future is dropped.
struct Lost<'a>(&'a Rc<Link>);

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        self.0.mux(|mux| mux.lose(LinkError::Closed, false));
    }
}

struct Driver<'a, T> {
    link: &'a Rc<Link>,
    io: T,
    tls: Tls,
    /// Records of which more is to come.
    wire: Buf,
    /// Frames of which more is to come.
    plain: Vec<u8>,
    /// Records to send, and how many bytes of them were.
    out: Vec<u8>,
    sent: usize,
    /// Memory for the streams' next frames.
    spare: Vec<u8>,
    times: Times,
    /// What the link ends with once it is drained.
    drain_cause: LinkError,
    /// A frame came: the peer has accepted our certificate.
    heard_frame: bool,
}

impl<'a, T: AsyncRead + AsyncWrite + Unpin> Driver<'a, T> {
    fn new(link: &'a Rc<Link>, io: T, tls: Tls) -> Self {
        let now = Instant::now();
        let state = link.state.borrow();
        let times = Times {
            started: now,
            up: false,
            heard: now,
            pinged: None,
            busy: false,
            since: now,
            expires: state.expires,
            drain_until: None,
            idle: idle(state.side, &link.limits),
        };
        Self {
            link,
            io,
            tls,
            wire: Buf::default(),
            plain: Vec::new(),
            out: Vec::new(),
            sent: 0,
            spare: Vec::new(),
            times,
            drain_cause: LinkError::Drained,
            heard_frame: false,
        }
    }

    /// A turn. Ready with why the link is over; what its peer is to be told then lies in `out`.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        sleep: Pin<&mut Sleep>,
        on_open: &mut impl FnMut(Incoming),
    ) -> Poll<LinkError> {
        self.remember(cx);
        let turn = self.turn(cx, on_open).and_then(|()| self.keep(cx, sleep));
        match turn {
            Ok(()) => Poll::Pending,
            Err(cause) => {
                if !matches!(cause, LinkError::Handshake(_) | LinkError::Tls(_)) {
                    self.compose_goodbye();
                }
                Poll::Ready(cause)
            }
        }
    }

    /// From here on, whoever has something for this task wakes it.
    fn remember(&self, cx: &Context<'_>) {
        let mut state = self.link.state.borrow_mut();
        state.asked = false;
        match &mut state.driver {
            Some(driver) => driver.clone_from(cx.waker()),
            None => state.driver = Some(cx.waker().clone()),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, on_open: &mut impl FnMut(Incoming)) -> Result<(), LinkError> {
        if self.link.state.borrow().asked_to == Asked::Close {
            return Err(LinkError::Closed);
        }
        if !self.times.up && self.out.is_empty() {
            self.decrypt()?; // The opener's first flight.
        }
        // What the peer said before it closed tells more than that a write failed.
        let (mut blocked, broken) = match self.write(cx) {
            Err(LinkError::Io(kind)) => (true, Some(LinkError::Io(kind))),
            wrote => (wrote?, None),
        };
        let mut reads = 0;
        while let Poll::Ready(read) = self.wire.poll_read(cx, &mut self.io) {
            if read.map_err(|error| LinkError::Io(error.kind()))? == 0 {
                return Err(self.peer_closed());
            }
            self.hear(on_open)?;
            reads += 1;
            if reads == READS && broken.is_none() {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if let Some(error) = broken {
            return Err(error);
        }
        if !blocked && self.sent < self.out.len() {
            blocked = self.write(cx)?; // A handshake's next flight.
        }
        let state = self.link.state.borrow();
        if state.mux.backlog() > BACKLOG_MOST {
            return Err(LinkError::Stalled);
        }
        if !blocked && state.mux.is_drained() && !state.mux.wants_write() {
            return Err(self.drain_cause.clone());
        }
        Ok(())
    }

    /// Writes what there is; true: the socket takes no more now.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, LinkError> {
        loop {
            if self.sent == 0 {
                self.encrypt()?;
            }
            if self.out.is_empty() {
                return Ok(false);
            }
            while self.sent < self.out.len() {
                match Pin::new(&mut self.io).poll_write(cx, &self.out[self.sent..]) {
                    Poll::Pending => return Ok(true),
                    Poll::Ready(Ok(0)) => return Err(LinkError::Io(io::ErrorKind::WriteZero)),
                    Poll::Ready(Ok(written)) => self.sent += written,
                    Poll::Ready(Err(error)) => return Err(LinkError::Io(error.kind())),
                }
            }
            empty(&mut self.out);
            self.sent = 0;
        }
    }

    /// Encrypts what the streams have gathered, if anything.
    fn encrypt(&mut self) -> Result<(), LinkError> {
        let mut state = self.link.state.borrow_mut();
        if !self.times.up || !state.mux.wants_write() {
            return Ok(());
        }
        let mut batch = state.mux.take_batch(std::mem::take(&mut self.spare));
        drop(state);
        self.tls.write(self.wire.filled_mut(), &batch, &mut self.out).map_err(tls_broke)?;
        empty(&mut batch);
        self.spare = batch;
        Ok(())
    }

    /// Takes what was read.
    fn hear(&mut self, on_open: &mut impl FnMut(Incoming)) -> Result<(), LinkError> {
        self.times.heard = Instant::now();
        self.times.pinged = None;
        let closed = self.decrypt()?;
        self.deliver(on_open)?;
        if closed { Err(self.peer_closed()) } else { Ok(()) }
    }

    fn peer_closed(&self) -> LinkError {
        let drained = self.link.state.borrow().mux.is_drained();
        if drained { self.drain_cause.clone() } else { LinkError::PeerClosed }
    }

    /// Decrypts what was read; true: the peer said that nothing follows.
    fn decrypt(&mut self) -> Result<bool, LinkError> {
        let read = self.tls.read(self.wire.filled_mut(), &mut self.plain, &mut self.out);
        let read = read.map_err(|error| self.tls_failed(error))?;
        self.wire.consume(read.used);
        if read.up && !self.times.up {
            self.came_up()?;
        }
        Ok(read.closed)
    }

    fn tls_failed(&self, error: rustls::Error) -> LinkError {
        if self.times.up { tls_broke(error) } else { LinkError::Handshake(Arc::new(error)) }
    }

    /// The handshake is over: who is there, and for how long?
    fn came_up(&mut self) -> Result<(), LinkError> {
        if self.tls.alpn() != Some(ALPN) {
            return Err(ProtocolError::Alpn.into());
        }
        if !matches!(self.tls, Tls::Within) {
            self.recognise()?;
        }
        self.times.up = true;
        let mut state = self.link.state.borrow_mut();
        state.up = true;
        state.waits_for_up.take().into_iter().for_each(Waker::wake);
        if state.mux.wants_write() {
            state.wake();
        }
        Ok(())
    }

    /// Who the peer is, and until when that holds.
    fn recognise(&mut self) -> Result<(), LinkError> {
        let peer = Peer::of(self.tls.peer_chain()).map_err(LinkError::Identity)?;
        // A resumed session was not verified anew.
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let left = peer.not_after.duration_since(SystemTime::now());
        let left = left.map_err(|_| LinkError::Handshake(Arc::new(expired)))?;
        if let Some(end) = Instant::now().checked_add(left) {
            self.link.expires_at(end);
        }
        self.link.state.borrow_mut().peer = Some(peer.identity);
        Ok(())
    }

    /// Hands on the frames that are whole.
    fn deliver(&mut self, on_open: &mut impl FnMut(Incoming)) -> Result<(), LinkError> {
        let mut used = 0;
        while let Some(frame) = frames::first(&self.plain[used..]).map_err(ProtocolError::from)? {
            used += frame.size();
            self.heard_frame = true;
            // No borrow of the link's is held while the stream is handed on.
            if let Delivered::Opened(key, open) = self.link.mux(|mux| mux.deliver(frame))? {
                on_open(self.link.incoming(key, open));
            }
        }
        if used == self.plain.len() {
            empty(&mut self.plain);
        } else {
            self.plain.drain(..used);
        }
        Ok(())
    }

    /// Does what is due, and sees to it that this task is woken when something is again.
    fn keep(&mut self, cx: &mut Context<'_>, mut sleep: Pin<&mut Sleep>) -> Result<(), LinkError> {
        loop {
            let now = Instant::now();
            self.look(now);
            match self.times.check(&self.link.limits, now) {
                Ok(due) => self.act(due, now)?,
                // A later deadline is found when the earlier one comes: moving the runtime's timer costs more.
                Err(next) => {
                    if next < sleep.deadline() || sleep.is_elapsed() {
                        sleep.as_mut().reset(next);
                    }
                    if sleep.as_mut().poll(cx).is_pending() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the streams and the owner have changed.
    fn look(&mut self, now: Instant) {
        let state = self.link.state.borrow();
        self.times.busy = state.mux.streams() > 0;
        self.times.since = state.since.max(self.times.started);
        self.times.expires = state.expires;
        if self.times.drain_until.is_none() && state.mux.is_draining() {
            self.times.drain_until = Some(now + self.link.limits.drain);
        }
    }

    fn act(&mut self, due: Due, now: Instant) -> Result<(), LinkError> {
        match due {
            Due::HandshakeOver => return Err(LinkError::HandshakeTimeout),
            Due::Silent => return Err(LinkError::Silent),
            Due::DrainOver => return Err(self.drain_cause.clone()),
            Due::Ping => {
                self.times.pinged = Some(now);
                self.link.mux(|mux| mux.ping());
            }
            Due::Expired => self.link.drain(),
            Due::Idle => {
                self.drain_cause = LinkError::Idle;
                self.link.drain();
            }
        }
        Ok(())
    }

    /// Whether the peer refused our certificate: then it has read no frame, although some may have been sent. A server
    /// says so only after a client believes the handshake to be over (RFC 8446, section 4.4.2.4).
    fn is_refused_in_handshake(&self, cause: &LinkError) -> bool {
        let LinkError::Tls(error) = cause else { return false };
        matches!(**error, rustls::Error::AlertReceived(_)) && !self.heard_frame
    }

    /// Tells the peer which streams were served, behind what was on its way already.
    fn compose_goodbye(&mut self) {
        if !self.times.up {
            return;
        }
        let mut state = self.link.state.borrow_mut();
        if state.mux.lost().is_some() {
            return;
        }
        state.mux.say_goodbye();
        let batch = state.mux.take_batch(Vec::new());
        // Where TLS breaks now, the peer is not told.
        let _ = self.tls.write(self.wire.filled_mut(), &batch, &mut self.out);
    }
}

fn tls_broke(error: rustls::Error) -> LinkError {
    LinkError::Tls(Arc::new(error))
}

/// Empties it, and gives back what a burst left behind.
fn empty(bytes: &mut Vec<u8>) {
    if bytes.capacity() > TRIM && bytes.len() < TRIM {
        *bytes = Vec::new();
    } else {
        bytes.clear();
    }
}
