//! A body on its way from an app's connection to a stream, over as many tries as it takes.
//!
//! What was read from the connection cannot be read again: until the server has accepted the stream, no more is taken
//! than the replay buffer holds, so that a request which provably never arrived can be sent again whole.

use std::{cell::Cell, io};

use super::{Failure, Reader};
use crate::{
    http::{Framing, Limits},
    http1::ChunkDecoder,
    mesh::{PIECE, Stream},
    retry::Replay,
};

enum Rest {
    None,
    /// So many bytes are to come.
    Length(u64),
    /// It ends with its connection.
    UntilClose,
    Chunked(Box<ChunkDecoder>),
}

/// A body, and how far it has come. Survives a try: the next one begins with what was kept for replay.
pub struct OutgoingBody<'a> {
    rest: Rest,
    /// Data that lies at the front of what was read, its framing taken off.
    ready: usize,
    replay: Option<Replay>,
    /// Whether another try could send all of it again.
    replayable: &'a Cell<bool>,
}

impl<'a> OutgoingBody<'a> {
    /// A body with this framing. With `replay` it can be sent more than once, as long as that holds it; `replayable`
    /// is kept true for as long as it does.
    pub fn new(framing: Framing, limits: &Limits, replay: Option<Replay>, replayable: &'a Cell<bool>) -> Self {
        let rest = match framing {
            Framing::None | Framing::Length(0) => Rest::None,
            Framing::Length(length) => Rest::Length(length),
            Framing::UntilClose => Rest::UntilClose,
            Framing::Chunked => Rest::Chunked(Box::new(ChunkDecoder::new(limits))),
        };
        replayable.set(replay.is_some() || !framing.has_body());
        Self { rest, ready: 0, replay, replayable }
    }

    /// Whether another try could send all of it again; stays true to the body while it is sent.
    pub fn replayable(&self) -> &'a Cell<bool> {
        self.replayable
    }

    /// Sends all of it, and the end of the stream's direction.
    ///
    /// # Errors
    /// [`Failure::Gone`], [`Failure::Stream`], [`Failure::Chunk`].
    pub async fn send(&mut self, rd: &mut Reader<'_>, stream: &Stream) -> Result<(), Failure> {
        self.send_again(stream).await?;
        while self.advance(rd).await? {
            if self.send_piece(rd, stream).await? {
                return Ok(());
            }
        }
        match &self.rest {
            Rest::Chunked(decoder) if !decoder.trailers().is_empty() => stream.trailers(decoder.trailers()),
            _ => stream.end(),
        }
        Ok(())
    }

    /// Sends what earlier tries have read.
    async fn send_again(&mut self, stream: &Stream) -> Result<(), Failure> {
        let mut rest = self.replay.as_ref().and_then(Replay::again).map_or(&[][..], |again| again.body);
        while !rest.is_empty() {
            let n = stream.credit(rest.len()).await?;
            stream.data(&rest[..n], false);
            rest = &rest[n..];
        }
        Ok(())
    }

    /// Makes some data ready. False: there is none left.
    async fn advance(&mut self, rd: &mut Reader<'_>) -> Result<bool, Failure> {
        while self.ready == 0 {
            if matches!(self.rest, Rest::None | Rest::Length(0)) {
                return Ok(false);
            }
            if rd.buf.is_empty() {
                match rd.fill().await {
                    Err(error)
                        if error.kind() == io::ErrorKind::UnexpectedEof && matches!(self.rest, Rest::UntilClose) =>
                    {
                        return Ok(false);
                    }
                    filled => filled?,
                }
            }
            let have = rd.buf.len();
            match &mut self.rest {
                Rest::None => {}
                Rest::UntilClose => self.ready = have,
                Rest::Length(left) => {
                    self.ready = usize::try_from(*left).map_or(have, |left| left.min(have));
                    *left -= self.ready as u64;
                }
                Rest::Chunked(decoder) => {
                    let decoded = decoder.decode(rd.buf.filled(), usize::MAX).map_err(Failure::Chunk)?;
                    self.ready = decoded.data.len();
                    rd.buf.consume(if self.ready == 0 { decoded.used } else { decoded.data.start });
                    if decoded.over && self.ready == 0 {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// True: the piece was the last, and the stream's direction has ended with it.
    async fn send_piece(&mut self, rd: &mut Reader<'_>, stream: &Stream) -> Result<bool, Failure> {
        let want = self.ready.min(PIECE);
        if self.replay.as_ref().is_some_and(|replay| replay.room() < want) {
            stream.accepted().await?;
            self.replay = None;
            self.replayable.set(false);
        }
        let n = stream.credit(want).await?;
        let piece = &rd.buf.filled()[..n];
        let last = n == self.ready && matches!(self.rest, Rest::Length(0));
        stream.data(piece, last);
        if let Some(replay) = &mut self.replay {
            replay.data(piece);
        }
        rd.buf.consume(n);
        self.ready -= n;
        Ok(last)
    }
}
