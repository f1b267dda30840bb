//! What drives a link: one task, which reads what comes and writes what the tasks of a turn have gathered.
//!
//! A turn: what waits is encrypted and written at once; what comes is decrypted and put into the inboxes, whose tasks are
//! woken. They append to the link's buffer and wake this task again, behind themselves: so many frames share a write.

mod life;
mod secure;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};

use super::{Asked, Incoming, Link, LinkEnd, goodbye, idle, keeper::Times};
use crate::{
    buffer::Buf,
    mesh::{
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
    let (cause, unread) = driver.verdict(cause);
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
            answer_until: None,
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
        self.tls.write(self.wire.filled_mut(), &batch, &mut self.out).map_err(secure::tls_broke)?;
        empty(&mut batch);
        self.spare = batch;
        Ok(())
    }

    /// Takes what was read.
    fn hear(&mut self, on_open: &mut impl FnMut(Incoming)) -> Result<(), LinkError> {
        self.times.heard = Instant::now();
        self.times.pinged = None;
        let closed = self.decrypt();
        if self.times.up {
            self.deliver(on_open)?; // Also what came before TLS broke.
        }
        if closed? { Err(self.peer_closed()) } else { Ok(()) }
    }

    fn peer_closed(&self) -> LinkError {
        let drained = self.link.state.borrow().mux.is_drained();
        if drained { self.drain_cause.clone() } else { LinkError::PeerClosed }
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
}

/// Empties it, and gives back what a burst left behind.
fn empty(bytes: &mut Vec<u8>) {
    if bytes.capacity() > TRIM && bytes.len() < TRIM {
        *bytes = Vec::new();
    } else {
        bytes.clear();
    }
}
