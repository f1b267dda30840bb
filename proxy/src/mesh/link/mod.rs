//! A connection between proxies, as its owner and its streams see it. What drives it: `driver`.

mod driver;
mod goodbye;
mod keeper;
#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use rustls::{ClientConfig, ServerConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use weft_certs::SpiffeId;

use super::{
    error::{LinkError, OpenError},
    limits::Limits,
    mux::{Key, Mux, Side},
    open::Open,
    stream::Stream,
    tls::Tls,
};
use crate::address::EndpointAddr;

/// One connection between two proxies and the streams on it.
pub struct Link {
    limits: Limits,
    state: RefCell<State>,
    /// Until the link runs.
    tls: Cell<Option<Tls>>,
}

struct State {
    side: Side,
    mux: Mux,
    /// The driver's, and whether it has been woken already.
    driver: Option<Waker>,
    asked: bool,
    peer: Option<SpiffeId>,
    /// The handshake is over, and who waits for that.
    up: bool,
    waits_for_up: Option<Waker>,
    /// Since when streams are open, or since when none is.
    since: Instant,
    expires: Option<Instant>,
    asked_to: Asked,
}

/// What the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Nothing,
    Drain,
    Close,
}

/// What a pool asks before it opens a stream.
#[derive(Clone, Debug)]
pub struct LinkState {
    /// Streams that are open.
    pub streams: usize,
    /// No more DATA is taken on any stream, by the peer or by us: another link is better.
    pub blocked: bool,
    /// Why no stream can be opened now, if so.
    pub refuses: Option<OpenError>,
    /// Since when no stream is open, if so.
    pub idle_since: Option<Instant>,
}

/// How a link ended.
#[derive(Debug)]
pub struct LinkEnd {
    /// Why.
    pub cause: LinkError,
    /// Whether the handshake had succeeded.
    pub established: bool,
}

/// A stream that the peer opened.
pub struct Incoming {
    /// What it asks for.
    pub open: Open,
    /// To be accepted, answered or refused; dropped, it is reset.
    pub stream: Stream,
}

impl Link {
    /// The side that connects and opens streams. They may be opened at once, before anything is dialled. `endpoint` is
    /// what TLS sessions are told apart by.
    pub fn client(config: Arc<ClientConfig>, endpoint: EndpointAddr, limits: Limits) -> Rc<Self> {
        // The acceptor's tasks end a little later than ours: what we open at once is to fit there too.
        let streams = limits.streams - limits.streams / 4;
        Self::new(Tls::client(config, endpoint), Side::Opener, Limits { streams, ..limits })
    }

    /// The side that is connected to.
    pub fn server(config: Arc<ServerConfig>, limits: Limits) -> Rc<Self> {
        Self::new(Tls::server(config), Side::Acceptor, limits)
    }

    /// Both ends of a link that stays within this worker: no TLS, and nobody to be verified. `run_client` and `run_server`
    /// get the two ends of a pipe.
    pub fn within(limits: Limits) -> (Rc<Self>, Rc<Self>) {
        let acceptor = Self::new(Ok(Tls::Within), Side::Acceptor, limits);
        acceptor.mux(Mux::trust_peer);
        (Self::new(Ok(Tls::Within), Side::Opener, limits), acceptor)
    }

    /// Waits until the handshake is over, well or not. Cancel-safe; one caller at a time.
    pub async fn established(&self) {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.up || state.mux.lost().is_some() {
                return Poll::Ready(());
            }
            state.waits_for_up = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn new(tls: Result<Tls, rustls::Error>, side: Side, limits: Limits) -> Rc<Self> {
        let mut mux = Mux::new(side, limits.streams);
        let tls = tls.map_err(|error| mux.lose(LinkError::Handshake(Arc::new(error)), false)).ok();
        let state = State {
            side,
            mux,
            driver: None,
            asked: false,
            peer: None,
            up: false,
            waits_for_up: None,
            since: Instant::now(),
            expires: limits.expires,
            asked_to: Asked::Nothing,
        };
        Rc::new(Self { limits, state: RefCell::new(state), tls: Cell::new(tls) })
    }

    /// Runs the side that connected, until the link is over. Dropping the future loses the link.
    pub async fn run_client<T: AsyncRead + AsyncWrite + Unpin>(self: Rc<Self>, io: T) -> LinkEnd {
        driver::run(&self, io, |_| {}).await
    }

    /// Runs the side that was connected to, until the link is over; `on_open` gets the streams that the peer opens, and is
    /// to hand them on at once. Dropping the future loses the link.
    pub async fn run_server<T, F>(self: Rc<Self>, io: T, on_open: F) -> LinkEnd
    where
        T: AsyncRead + AsyncWrite + Unpin,
        F: FnMut(Incoming),
    {
        driver::run(&self, io, on_open).await
    }

    /// Opens a stream; nothing of it is sent before the handshake is over.
    ///
    /// # Errors
    /// When the link is full, draining or over. Nothing was sent.
    pub fn open(self: &Rc<Self>, open: &Open) -> Result<Stream, OpenError> {
        let key = self.mux(|mux| mux.open(open))?;
        Ok(Stream::new(self.clone(), key))
    }

    /// The dialler's verdict: there is no connection to run.
    pub fn dead(&self, cause: LinkError) {
        self.mux(|mux| mux.lose(cause, false));
    }

    /// Takes no new streams; those that are open may finish within the drain's limit. Then the link is over.
    pub fn drain(&self) {
        self.ask(Asked::Drain);
    }

    /// Ends the link now; streams that are open are lost.
    pub fn close(&self) {
        self.ask(Asked::Close);
    }

    /// Moves the moment at which the link drains because the leaf behind it ends; it can only come nearer.
    pub fn expires_at(&self, at: Instant) {
        let mut state = self.state.borrow_mut();
        state.expires = Some(state.expires.map_or(at, |expires| expires.min(at)));
        state.wake();
    }

    /// Who the peer proved to be; `None` while the handshake lasts.
    pub fn peer(&self) -> Option<SpiffeId> {
        self.state.borrow().peer.clone()
    }

    /// Whether it is connected, and the handshake over.
    pub fn is_up(&self) -> bool {
        self.state.borrow().up
    }

    /// What a pool asks before it opens a stream.
    pub fn state(&self) -> LinkState {
        let state = self.state.borrow();
        let streams = state.mux.streams();
        LinkState {
            streams,
            blocked: state.mux.is_blocked(),
            refuses: state.mux.refuses(),
            idle_since: (streams == 0).then_some(state.since),
        }
    }

    /// Whether a stream can be opened now.
    pub fn is_open(&self) -> bool {
        self.state.borrow().mux.refuses().is_none()
    }

    /// Whether no stream will ever be opened again.
    pub fn is_ending(&self) -> bool {
        let state = self.state.borrow();
        state.mux.lost().is_some() || state.mux.is_draining()
    }

    /// Whether the link is over.
    pub fn is_dead(&self) -> bool {
        self.state.borrow().mux.lost().is_some()
    }

    fn ask(&self, asked_to: Asked) {
        let mut state = self.state.borrow_mut();
        state.asked_to = state.asked_to.max(asked_to);
        if asked_to == Asked::Drain {
            state.mux.start_drain();
        }
        state.wake();
    }

    /// Does something to the streams, and sees to it that what follows from it is written.
    pub(super) fn mux<T>(&self, act: impl FnOnce(&mut Mux) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let busy = state.mux.streams() > 0;
        let result = act(&mut state.mux);
        if busy != (state.mux.streams() > 0) {
            state.since = Instant::now();
        }
        if state.mux.wants_write() || state.mux.is_drained() {
            state.wake();
        }
        result
    }

    fn incoming(self: &Rc<Self>, key: Key, open: Open) -> Incoming {
        Incoming { open, stream: Stream::new(self.clone(), key) }
    }
}

impl State {
    /// Wakes the driver, once: by the time it runs, the other tasks of the turn have had their say.
    fn wake(&mut self) {
        if !self.asked
            && let Some(driver) = &self.driver
        {
            self.asked = true;
            driver.wake_by_ref();
        }
    }
}

/// How much longer the accepting side keeps an idle link, so that it is the opener who closes.
fn idle(side: Side, limits: &Limits) -> Duration {
    match side {
        Side::Opener => limits.idle,
        Side::Acceptor => limits.idle + limits.idle / 4,
    }
}
