//! Byte buffers that cost nothing while they are empty.
//!
//! A [`Buf`] takes memory from its worker's pool when bytes come, and gives it back when they are consumed or it is
//! dropped; [`take`] and [`give`] are for what needs no start. The pool is last in, first out, so the memory in use stays
//! in the cache; what it keeps is bounded.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

const SMALL: usize = 2 << 10;
/// Four times what a frame of DATA takes, so that a full read is cut into whole frames.
pub const BIG: usize = 4 * 16_374;
/// What a burst needs: a write of a link, or what waits for an app that reads slowly.
const HUGE: usize = 256 << 10;
/// Least room for a read.
const ROOM: usize = 16 << 10;
/// How many of each size a worker keeps: 1 MiB of small ones, 1 MiB of big ones, 2 MiB of huge ones, or twice as much where
/// they have grown.
const KEEP_SMALL: usize = 512;
const KEEP_BIG: usize = 16;
const KEEP_HUGE: usize = 8;

/// Bytes that are filled at the end and consumed from the start.
#[derive(Debug, Default)]
pub struct Buf {
    bytes: Vec<u8>,
    start: usize,
}

impl Buf {
    /// What is in it.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What is in it, to be changed in place (TLS decrypts so).
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// To append a little to; what lies before `filled()` is not to be touched.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        self.vec_for(0)
    }

    /// To append so many bytes to; what lies before `filled()` is not to be touched.
    pub fn vec_for(&mut self, count: usize) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take(count);
        }
        &mut self.bytes
    }

    /// To read into: with room for a good piece behind what is there.
    pub fn room(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take(BIG);
        } else {
            self.compact();
            self.bytes.reserve(ROOM);
        }
        &mut self.bytes
    }

    /// Reads once, behind what is there; 0 is the end. Holds no memory while nothing comes.
    pub fn poll_read<T: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, from: &mut T) -> Poll<io::Result<usize>> {
        let room = self.room();
        let before = room.len();
        let mut into = ReadBuf::uninit(room.spare_capacity_mut());
        let polled = Pin::new(from).poll_read(cx, &mut into);
        let read = into.filled().len();
        // SAFETY: ReadBuf vouches that the `read` bytes behind `before` are initialised, and they lie within the capacity.
        unsafe { room.set_len(before + read) };
        self.settle();
        ready!(polled)?;
        Poll::Ready(Ok(read))
    }

    /// Drops the first `count` bytes, at most all.
    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.len());
        self.settle();
    }

    /// Moves what is left to the start, so that what is appended next takes the room of what was consumed.
    pub fn compact(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.start = self.bytes.len();
        self.settle();
    }

    /// Gives the memory back if nothing is in it.
    pub fn settle(&mut self) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.start = 0;
            give(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 {
            give(std::mem::take(&mut self.bytes));
        }
    }
}

#[derive(Default)]
struct Pool {
    small: Vec<Vec<u8>>,
    big: Vec<Vec<u8>>,
    huge: Vec<Vec<u8>>,
}

impl Pool {
    /// Those of the size that `size` bytes need.
    fn of(&mut self, size: usize) -> &mut Vec<Vec<u8>> {
        match capacity(size) {
            SMALL => &mut self.small,
            BIG => &mut self.big,
            _ => &mut self.huge,
        }
    }
}

/// What is taken for `size` bytes; more than the greatest grows by itself.
fn capacity(size: usize) -> usize {
    [SMALL, BIG].into_iter().find(|capacity| size <= *capacity).unwrap_or(HUGE)
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { small: Vec::new(), big: Vec::new(), huge: Vec::new() }) };
}

/// An empty vector with room for about `size` bytes.
pub fn take(size: usize) -> Vec<u8> {
    let mut bytes = take_used(size);
    bytes.clear();
    bytes
}

/// Like [`take`], with what lay in it last: for who overwrites it, and would have to initialise it otherwise.
pub fn take_used(size: usize) -> Vec<u8> {
    let kept = POOL.try_with(|pool| pool.borrow_mut().of(size).pop());
    kept.ok().flatten().unwrap_or_else(|| Vec::with_capacity(capacity(size)))
}

/// Gives memory back, of [`take`] or not.
pub fn give(bytes: Vec<u8>) {
    // A buffer that outlives its thread's pool is just freed.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        match bytes.capacity() {
            SMALL..8192 if pool.small.len() < KEEP_SMALL => pool.small.push(bytes),
            BIG..131_072 if pool.big.len() < KEEP_BIG => pool.big.push(bytes),
            HUGE..=524_288 if pool.huge.len() < KEEP_HUGE => pool.huge.push(bytes),
            _ => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn memory_comes_with_bytes_and_goes_with_them() {
        let mut buf = Buf::default();
        buf.vec().extend_from_slice(b"abc");
        buf.consume(1);
        assert_eq!(buf.filled(), b"bc");
        assert!(buf.room().capacity() >= ROOM);
        assert_eq!(buf.filled(), b"bc");
        buf.consume(2);
        assert_eq!(buf.bytes.capacity(), 0);
        buf.room();
        buf.settle();
        assert_eq!(buf.bytes.capacity(), 0);
    }

    #[test]
    fn what_is_always_a_little_behind_does_not_grow() {
        let mut buf = Buf::default();
        for _ in 0..1000 {
            buf.vec().extend_from_slice(&[7; 1000]);
            buf.consume(buf.len() - 10);
            buf.compact();
        }
        assert_eq!(buf.len(), 10);
        assert!(buf.bytes.capacity() < 8192, "{}", buf.bytes.capacity());
    }

    #[test]
    fn more_than_everything_cannot_be_consumed() {
        let mut buf = Buf::default();
        buf.vec().extend_from_slice(b"abc");
        buf.consume(9);
        assert!(buf.is_empty());
        assert_eq!(buf.len(), 0);
    }

    #[tokio::test]
    async fn a_read_goes_behind_what_is_there_and_an_end_reads_nothing() {
        let mut from: &[u8] = b"def";
        let mut buf = Buf::default();
        buf.vec().extend_from_slice(b"abc");
        assert_eq!(poll_fn(|cx| buf.poll_read(cx, &mut from)).await.unwrap(), 3);
        assert_eq!(buf.filled(), b"abcdef");
        buf.clear();
        assert_eq!(poll_fn(|cx| buf.poll_read(cx, &mut from)).await.unwrap(), 0);
        assert_eq!(buf.bytes.capacity(), 0);
    }
}
