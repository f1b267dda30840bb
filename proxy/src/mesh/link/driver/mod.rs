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
    buffer::{self, Buf},
    mesh::{
        error::{LinkError, ProtocolError},
        frames,
        limits::BACKLOG_MOST,
        mux::Delivered,
        records::Records,
        tls::Tls,
    },
};

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
    goodbye::say(driver.io, driver.out.unsent()).await;
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
    /// A frame of which more is to come.
    part: Buf,
    /// What is to be sent.
    out: Records,
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
            part: Buf::default(),
            out: Records::default(),
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
            self.decrypt(on_open)?; // The opener's first flight.
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
        if !blocked && !self.out.is_empty() {
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
            if !self.out.is_begun() {
                self.encrypt()?;
            }
            if self.out.is_empty() {
                return Ok(false);
            }
            while !self.out.is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, self.out.unsent()) {
                    Poll::Pending => return Ok(true),
                    Poll::Ready(Ok(0)) => return Err(LinkError::Io(io::ErrorKind::WriteZero)),
                    Poll::Ready(Ok(written)) => self.out.consume(written),
                    Poll::Ready(Err(error)) => return Err(LinkError::Io(error.kind())),
                }
            }
        }
    }

    /// Encrypts what the streams have gathered, if anything.
    fn encrypt(&mut self) -> Result<(), LinkError> {
        let mut state = self.link.state.borrow_mut();
        if !self.times.up || !state.mux.wants_write() {
            return Ok(());
        }
        let batch = state.mux.take_batch();
        drop(state);
        let written = self.tls.write(self.wire.filled_mut(), &batch, &mut self.out);
        buffer::give(batch);
        written.map_err(secure::tls_broke)
    }

    /// Takes what was read.
    fn hear(&mut self, on_open: &mut impl FnMut(Incoming)) -> Result<(), LinkError> {
        self.times.heard = Instant::now();
        self.times.pinged = None;
        if self.decrypt(on_open)? { Err(self.peer_closed()) } else { Ok(()) }
    }

    fn peer_closed(&self) -> LinkError {
        let drained = self.link.state.borrow().mux.is_drained();
        if drained { self.drain_cause.clone() } else { LinkError::PeerClosed }
    }
}

/// Hands on the frames that are whole: those in `bytes`, the first of which may have begun in `part`. What is left of
/// the last one is kept there. Gives how many there were.
fn deliver(
    link: &Rc<Link>,
    part: &mut Buf,
    bytes: &[u8],
    on_open: &mut impl FnMut(Incoming),
) -> Result<usize, LinkError> {
    if part.is_empty() {
        let (used, count) = deliver_whole(link, bytes, on_open)?;
        if used < bytes.len() {
            part.vec_for(bytes.len()).extend_from_slice(&bytes[used..]);
        }
        return Ok(count);
    }
    part.vec().extend_from_slice(bytes);
    let (used, count) = deliver_whole(link, part.filled(), on_open)?;
    part.consume(used);
    part.compact();
    Ok(count)
}

/// Hands on the frames that `bytes` begin with. Gives how many bytes they have, and how many they are.
fn deliver_whole(
    link: &Rc<Link>,
    bytes: &[u8],
    on_open: &mut impl FnMut(Incoming),
) -> Result<(usize, usize), LinkError> {
    let (mut used, mut count) = (0, 0);
    while let Some(frame) = frames::first(&bytes[used..]).map_err(ProtocolError::from)? {
        used += frame.size();
        count += 1;
        // No borrow of the link's is held while the stream is handed on.
        if let Delivered::Opened(key, open) = link.mux(|mux| mux.deliver(frame))? {
            on_open(link.incoming(key, open));
        }
    }
    Ok((used, count))
}
