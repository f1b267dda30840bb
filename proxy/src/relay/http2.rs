//! Bodies between a stream and one of the h2 crate's, both ways. The same for clients and servers.

use std::{cell::Cell, future::poll_fn};

use bytes::Bytes;
use h2::{RecvStream, SendStream};

use super::Failure;
use crate::{
    http::Framing,
    http2,
    mesh::{Event, PIECE, Received, Stream},
    retry::Replay,
};

/// A body that comes by HTTP/2, over as many tries as it takes; see [`super::OutgoingBody`].
pub struct Http2Body {
    body: RecvStream,
    /// What was read and not yet sent.
    ready: Bytes,
    over: bool,
    trailers: Vec<u8>,
    replay: Option<Replay>,
    replayable: bool,
    /// Some of it went to a stream.
    has_sent: bool,
}

impl Http2Body {
    /// A body. With `replay` it can be sent more than once, as long as that holds it.
    pub fn new(body: RecvStream, replay: Option<Replay>) -> Self {
        let over = body.is_end_stream();
        Self {
            body,
            ready: Bytes::new(),
            over,
            trailers: Vec::new(),
            replayable: over || replay.is_some(),
            has_sent: false,
            replay,
        }
    }

    /// Whether another try could send all of it again.
    pub fn is_replayable(&self) -> bool {
        self.replayable
    }

    /// Whether there is nothing to send but the end.
    pub fn is_over(&self) -> bool {
        self.over && self.trailers.is_empty() && !self.has_sent
    }

    /// The trailers' lines, once all of it was sent.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// Sends all of it, and the end of the stream's direction. `replayable` is kept true for as long as it is.
    ///
    /// # Errors
    /// [`Failure::Http2`], [`Failure::Stream`].
    pub async fn send(&mut self, stream: &Stream, replayable: &Cell<bool>) -> Result<(), Failure> {
        let mut again = self.replay.as_ref().and_then(Replay::again).map_or(&[][..], |again| again.body);
        while !again.is_empty() {
            let n = stream.credit(again.len()).await?;
            stream.data(&again[..n], false);
            again = &again[n..];
        }
        while self.advance().await? {
            self.send_piece(stream, replayable).await?;
        }
        if self.trailers.is_empty() {
            stream.end();
        } else {
            stream.trailers(&self.trailers);
        }
        Ok(())
    }

    async fn advance(&mut self) -> Result<bool, Failure> {
        while self.ready.is_empty() && !self.over {
            match self.body.data().await {
                Some(data) => self.ready = data.map_err(Failure::Http2)?,
                None => {
                    if let Some(trailers) = self.body.trailers().await.map_err(Failure::Http2)? {
                        http2::trailers_to_lines(&trailers, &mut self.trailers);
                    }
                    self.over = true;
                }
            }
        }
        Ok(!self.ready.is_empty())
    }

    async fn send_piece(&mut self, stream: &Stream, replayable: &Cell<bool>) -> Result<(), Failure> {
        let want = self.ready.len().min(PIECE);
        if self.replay.as_ref().is_some_and(|replay| replay.room() < want) {
            stream.accepted().await?;
            self.replay = None;
            self.replayable = false;
            replayable.set(false);
        }
        let n = stream.credit(want).await?;
        self.has_sent = true;
        let piece = self.ready.split_to(n);
        stream.data(&piece, false);
        if let Some(replay) = &mut self.replay {
            replay.data(&piece);
        }
        self.body.flow_control().release_capacity(n).map_err(Failure::Http2)
    }
}

/// Where a body that comes from a stream stands.
pub enum Progress {
    /// More is to come.
    Goes,
    /// It is over; with the trailers' lines, if there were any.
    Over(Option<Vec<u8>>),
}

/// Sends what has come of a body to HTTP/2. Returns once HTTP/2 has room for it, so that credit is given back no faster.
///
/// `framing` is what is left of the body: who made it may be hostile, and another hop may believe its length.
///
/// # Errors
/// [`Failure::Http2`]; [`Failure::Framing`] for a second head, or a body that is not as long as it is declared.
pub async fn send_received(
    received: &mut Received,
    stream: &Stream,
    to: &mut SendStream<Bytes>,
    framing: &mut Framing,
) -> Result<Progress, Failure> {
    let mut taken = 0;
    while let Some(event) = received.next() {
        match event {
            Event::Data { bytes, end } => {
                taken += bytes.len();
                if !framing.takes(bytes.len()) || end && !framing.may_end() {
                    return Err(Failure::Framing);
                }
                send_data(to, Bytes::copy_from_slice(bytes), end).await?;
                if end {
                    return Ok(Progress::Over(None));
                }
            }
            Event::Trailers { .. } | Event::End if !framing.may_end() => return Err(Failure::Framing),
            Event::Trailers { lines } => {
                let trailers = http2::lines_to_trailers(lines)?;
                to.send_trailers(trailers).map_err(Failure::Http2)?;
                return Ok(Progress::Over(Some(lines.to_vec())));
            }
            Event::End => {
                to.send_data(Bytes::new(), true).map_err(Failure::Http2)?;
                return Ok(Progress::Over(None));
            }
            Event::Head { .. } => return Err(Failure::Framing),
        }
    }
    stream.taken(taken);
    Ok(Progress::Goes)
}

async fn send_data(to: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), Failure> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        while to.capacity() == 0 {
            match poll_fn(|cx| to.poll_capacity(cx)).await {
                Some(room) => drop(room.map_err(Failure::Http2)?),
                None => return Err(Failure::Http2(h2::Reason::CANCEL.into())),
            }
        }
        let piece = data.split_to(to.capacity().min(data.len()));
        let last = end && data.is_empty();
        to.send_data(piece, last).map_err(Failure::Http2)?;
    }
    Ok(())
}
