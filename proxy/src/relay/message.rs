//! A message from a stream to an app's connection, written as HTTP/1.1.

use super::{Failure, Writer};
use crate::{
    http::Framing,
    http1,
    mesh::{Event, Stream},
};

/// What a head has come to.
pub enum HeadVerdict {
    /// It was interim (1xx): another follows.
    Interim,
    /// The message's body follows, framed for the app like this.
    Body(Framing),
    /// The connection has switched protocols (101): what follows are its bytes.
    Switched,
}

/// How a message has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is whole.
    Whole,
    /// Its head switched protocols; the stream carries the connection's bytes from here on.
    Switched,
}

/// Takes a message from the stream and writes it to the app, up to its end. `on_head` composes each head for the app;
/// what it appended for a head that it refuses is cut off again.
///
/// # Errors
/// [`Failure`]; what was written until then may be a part of a message.
pub async fn receive(
    stream: &Stream,
    wr: &mut Writer<'_>,
    mut on_head: impl FnMut(&[u8], &mut Vec<u8>) -> Result<HeadVerdict, Failure>,
) -> Result<Received, Failure> {
    let mut body: Option<Framing> = None;
    loop {
        let mut received = stream.received().await?;
        let (mut taken, mut over) = (0, false);
        while let Some(event) = received.next() {
            match event {
                Event::Head { payload, end, .. } if body.is_none() => {
                    match head(payload, wr, &mut on_head)? {
                        HeadVerdict::Interim if end => return Err(Failure::Framing),
                        HeadVerdict::Interim => {}
                        HeadVerdict::Body(framing) => body = Some(framing),
                        HeadVerdict::Switched => {
                            stream.put_back(received);
                            wr.flush().await?;
                            return Ok(Received::Switched);
                        }
                    }
                    over |= end;
                }
                Event::Data { bytes, end } => {
                    body = Some(write_data(wr, body, bytes).await?);
                    taken += bytes.len();
                    over |= end;
                }
                Event::Trailers { lines } => {
                    finish(wr, body, lines)?;
                    wr.flush().await?;
                    return Ok(Received::Whole);
                }
                Event::End => over = true,
                Event::Head { .. } => return Err(Failure::Framing),
            }
        }
        if over {
            finish(wr, body, &[])?;
        }
        wr.flush().await?;
        if over {
            return Ok(Received::Whole);
        }
        stream.taken(taken);
    }
}

fn head(
    payload: &[u8],
    wr: &mut Writer<'_>,
    on_head: &mut impl FnMut(&[u8], &mut Vec<u8>) -> Result<HeadVerdict, Failure>,
) -> Result<HeadVerdict, Failure> {
    let out = wr.out();
    let before = out.len();
    on_head(payload, out).inspect_err(|_| {
        wr.out().truncate(before);
        wr.settle();
    })
}

async fn write_data(wr: &mut Writer<'_>, body: Option<Framing>, data: &[u8]) -> Result<Framing, Failure> {
    let mut framing = body.ok_or(Failure::Framing)?;
    if !framing.takes(data.len()) {
        return Err(Failure::Framing);
    }
    let chunked = framing == Framing::Chunked && !data.is_empty();
    if chunked {
        http1::write_chunk_head(data.len(), wr.out());
    }
    wr.piece(data).await?;
    if chunked {
        http1::write_chunk_end(wr.out());
    }
    Ok(framing)
}

/// The end: a message with a length must have had it. Trailers reach an app only where its framing has a place for them.
fn finish(wr: &mut Writer<'_>, body: Option<Framing>, trailers: &[u8]) -> Result<(), Failure> {
    match body {
        Some(Framing::Chunked) => http1::write_last_chunk(trailers, wr.out()).map_err(Failure::Chunk),
        Some(framing) if framing.may_end() => Ok(()),
        Some(_) | None => Err(Failure::Framing),
    }
}
