//! Between an app's connection and a stream.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::Poll,
};

use super::{Counters, End, Silence};
use crate::{
    mesh::{Event, ResetCause, Stream, StreamError},
    relay::{Reader, Writer},
    timers::Timer,
};

/// What both directions of one relay share.
pub(super) struct Progress<'a> {
    timer: &'a Timer,
    silence: Silence,
    half_closed: Cell<bool>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(timer: &'a Timer, silence: Silence) -> Self {
        let progress = Self { timer, silence, half_closed: Cell::new(false) };
        progress.moved();
        progress
    }

    pub(super) fn moved(&self) {
        match (self.half_closed.get(), self.silence.idle) {
            (true, _) => self.timer.set(self.silence.half_closed),
            (false, Some(idle)) => self.timer.set(idle),
            (false, None) => self.timer.clear(),
        }
    }

    pub(super) fn one_is_over(&self) {
        self.half_closed.set(true);
        self.moved();
    }
}

/// Moves bytes both ways until both directions are over. The stream is reset when the app's connection was, and the
/// caller makes the app's close a reset when the end is [`End::PeerReset`].
pub async fn relay(
    (rd, wr): (&mut Reader<'_>, &mut Writer<'_>),
    stream: &Stream,
    timer: &Timer,
    silence: Silence,
    counters: &Counters,
) -> End {
    let progress = Progress::new(timer, silence);
    let up = pin!(to_stream(rd, stream, &progress, counters));
    let down = pin!(from_stream(wr, stream, &progress, counters));
    let end = until_both(up, down, timer).await;
    match end {
        End::AppReset => stream.reset(ResetCause::TcpReset),
        End::Silent => stream.reset(ResetCause::Deadline),
        End::Closed | End::PeerReset => {}
    }
    end
}

/// Drives both directions to their ends.
pub(super) async fn until_both(
    mut up: Pin<&mut impl Future<Output = Result<(), End>>>,
    mut down: Pin<&mut impl Future<Output = Result<(), End>>>,
    timer: &Timer,
) -> End {
    let (mut up_is_over, mut down_is_over) = (false, false);
    poll_fn(|cx| {
        if !up_is_over && let Poll::Ready(result) = up.as_mut().poll(cx) {
            up_is_over = true;
            if let Err(end) = result {
                return Poll::Ready(end);
            }
        }
        if !down_is_over && let Poll::Ready(result) = down.as_mut().poll(cx) {
            down_is_over = true;
            if let Err(end) = result {
                return Poll::Ready(end);
            }
        }
        if up_is_over && down_is_over {
            return Poll::Ready(End::Closed);
        }
        timer.poll(cx).map(|()| End::Silent)
    })
    .await
}

async fn to_stream(
    rd: &mut Reader<'_>,
    stream: &Stream,
    progress: &Progress<'_>,
    counters: &Counters,
) -> Result<(), End> {
    loop {
        if rd.buf.is_empty() {
            match rd.fill().await {
                Ok(()) => progress.moved(),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    stream.end();
                    progress.one_is_over();
                    return Ok(());
                }
                Err(_) => return Err(End::AppReset),
            }
        }
        while !rd.buf.is_empty() {
            let n = stream.credit(rd.buf.len()).await.map_err(|error| peer_end(&error))?;
            stream.data(&rd.buf.filled()[..n], false);
            rd.buf.consume(n);
            counters.count_received(n);
            progress.moved();
        }
    }
}

async fn from_stream(
    wr: &mut Writer<'_>,
    stream: &Stream,
    progress: &Progress<'_>,
    counters: &Counters,
) -> Result<(), End> {
    loop {
        let mut received = stream.received().await.map_err(|error| peer_end(&error))?;
        progress.moved();
        let (mut taken, mut over) = (0, false);
        while let Some(event) = received.next() {
            match event {
                Event::Data { bytes, end } => {
                    wr.piece(bytes).await.map_err(|_| End::AppReset)?;
                    taken += bytes.len();
                    over |= end;
                }
                Event::End => over = true,
                Event::Head { .. } | Event::Trailers { .. } => return Err(End::PeerReset),
            }
        }
        wr.flush().await.map_err(|_| End::AppReset)?;
        counters.count_sent(taken);
        if over {
            progress.one_is_over();
            // The app may have closed already: then there is nothing to finish.
            let _ = wr.finish().await;
            return Ok(());
        }
        stream.taken(taken);
        progress.moved();
    }
}

/// Whatever ends a stream early looks like a reset from the app's side: it must not be taken for the end of the data.
fn peer_end(_: &StreamError) -> End {
    End::PeerReset
}
