//! The chunked coding, both ways (RFC 9112 section 7.1).
//!
//! The decoder gives ranges of the input and copies only trailers. Extensions are checked and dropped. Sizes are hexadecimal
//! digits and nothing else; each line ends in CRLF.

use std::ops::Range;

use crate::http::{Flaw, Limits, put_trailers};

/// A chunked body that cannot be passed on. The caller knows whose it is, and thus the `Reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk's size is no hexadecimal number, or too large.
    #[error("chunk size is no number")]
    Size,
    /// An extension has a control byte, or is longer than the limit.
    #[error("chunk extension is malformed or too long")]
    Extension,
    /// A line or a chunk does not end in CRLF.
    #[error("chunk does not end in a line end")]
    LineEnd,
    /// The trailers are longer than the limit.
    #[error("trailers are too long")]
    TrailersTooLong,
    /// A trailer is malformed.
    #[error("malformed trailers: {0}")]
    Trailers(#[source] Flaw),
}

/// What one call of [`ChunkDecoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that are done with, the data included.
    pub used: usize,
    /// Where in the input the data lies; empty when there is none.
    pub data: Range<usize>,
    /// Whether the body is over; bytes after `used` are of the next message.
    pub over: bool,
}

/// Decodes one chunked body.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    trailers: Vec<u8>,
    trailer_bytes: usize,
    extension_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    /// Whitespace after the size: an extension must follow.
    Space {
        size: u64,
        length: usize,
    },
    Extension {
        size: u64,
        length: usize,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// Within the trailers; `line`: bytes of the present line.
    Trailer {
        line: usize,
    },
    /// After the CR of a trailer's line.
    TrailerEnd {
        line: usize,
    },
    Over,
}

impl ChunkDecoder {
    /// A decoder at the start of a body.
    pub fn new(limits: &Limits) -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            trailers: Vec::new(),
            trailer_bytes: limits.trailer_bytes,
            extension_bytes: limits.extension_bytes,
        }
    }

    /// Decodes up to the end of the next piece of data, at most `most` bytes of it, or to the body's end.
    ///
    /// Call again with the rest of the input while `used` is not 0 and the body is not over. With data at hand and `most`
    /// 0 it uses nothing of the data.
    ///
    /// # Errors
    /// The body is malformed, or its extras are beyond the limits; the decoder is of no use then.
    pub fn decode(&mut self, input: &[u8], most: usize) -> Result<Decoded, ChunkError> {
        for (at, &byte) in input.iter().enumerate() {
            match self.state {
                State::Data { left } => return Ok(self.data(left, at, input.len(), most)),
                State::Over => return Ok(Decoded { used: at, data: 0..0, over: true }),
                _ => self.state = self.step(byte)?,
            }
        }
        Ok(Decoded { used: input.len(), data: 0..0, over: self.state == State::Over })
    }

    /// The trailers as field lines, once the body is over. What has no place in trailers, and `weft-` fields, are gone.
    pub fn trailers(&self) -> &[u8] {
        if self.state == State::Over { &self.trailers } else { &[] }
    }

    fn data(&mut self, left: u64, at: usize, end: usize, most: usize) -> Decoded {
        let taken = left.min((end - at).min(most) as u64);
        self.state = if taken == left { State::DataCr } else { State::Data { left: left - taken } };
        let end = at + taken as usize;
        Decoded { used: end, data: at..end, over: false }
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        Ok(match self.state {
            State::Size { size, digits } => match (byte as char).to_digit(16) {
                Some(digit) if digits < 15 => State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                Some(_) => return Err(ChunkError::Size),
                None if digits == 0 => return Err(ChunkError::Size),
                None => after_size(size, byte)?,
            },
            State::Space { size, length } | State::Extension { size, length } if length >= self.extension_bytes => {
                // The line may end here, no more than that.
                if byte != b'\r' || matches!(self.state, State::Space { .. }) {
                    return Err(ChunkError::Extension);
                }
                State::SizeEnd { size }
            }
            State::Space { size, length } => match byte {
                b' ' | b'\t' => State::Space { size, length: length + 1 },
                b';' => State::Extension { size, length: length + 1 },
                _ => return Err(ChunkError::Size),
            },
            State::Extension { size, length } => match byte {
                b'\r' => State::SizeEnd { size },
                b'\t' | b' '..=0x7e | 0x80.. => State::Extension { size, length: length + 1 },
                _ => return Err(ChunkError::Extension),
            },
            State::SizeEnd { size } if byte == b'\n' => match size {
                0 => State::Trailer { line: 0 },
                left => State::Data { left },
            },
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size { size: 0, digits: 0 },
            State::Trailer { line } => self.trailer(byte, line)?,
            State::TrailerEnd { line } if byte == b'\n' => self.trailer_end(line)?,
            State::SizeEnd { .. } | State::DataCr | State::DataLf | State::TrailerEnd { .. } => {
                return Err(ChunkError::LineEnd);
            }
            State::Data { .. } | State::Over => self.state,
        })
    }

    fn trailer(&mut self, byte: u8, line: usize) -> Result<State, ChunkError> {
        match byte {
            b'\r' => Ok(State::TrailerEnd { line }),
            b'\n' => Err(ChunkError::LineEnd),
            _ if self.trailers.len() >= self.trailer_bytes => Err(ChunkError::TrailersTooLong),
            _ => {
                self.trailers.push(byte);
                Ok(State::Trailer { line: line + 1 })
            }
        }
    }

    fn trailer_end(&mut self, line: usize) -> Result<State, ChunkError> {
        if line > 0 {
            self.trailers.extend_from_slice(b"\r\n");
            return Ok(State::Trailer { line: 0 });
        }
        if !self.trailers.is_empty() {
            let mut kept = Vec::with_capacity(self.trailers.len());
            put_trailers(&self.trailers, &mut kept).map_err(ChunkError::Trailers)?;
            self.trailers = kept;
        }
        Ok(State::Over)
    }
}

fn after_size(size: u64, byte: u8) -> Result<State, ChunkError> {
    match byte {
        b'\r' => Ok(State::SizeEnd { size }),
        b';' => Ok(State::Extension { size, length: 1 }),
        b' ' | b'\t' => Ok(State::Space { size, length: 1 }),
        _ => Err(ChunkError::Size),
    }
}

/// Appends the line before a chunk's data. `length` must not be 0: that is the last chunk.
pub fn write_chunk_head(length: usize, out: &mut Vec<u8>) {
    debug_assert!(length > 0, "a chunk without data ends the body");
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(length >> (4 * digit)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the line end after a chunk's data.
pub fn write_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk with the trailers (field lines, perhaps of a hostile peer), and the end of the body.
///
/// # Errors
/// A trailer is malformed. `out` is as it was.
pub fn write_last_chunk(trailers: &[u8], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    let start = out.len();
    out.extend_from_slice(b"0\r\n");
    if let Err(flaw) = put_trailers(trailers, out) {
        out.truncate(start);
        return Err(ChunkError::Trailers(flaw));
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}
