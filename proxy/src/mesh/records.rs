//! Records of TLS on their way to the socket.

use crate::buffer;

/// Bytes that rustls has written and the socket has not taken. Memory comes from the worker's pool when there are some,
/// initialised as it is, and goes back there when they are sent.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Initialised, longer than what is in use.
    bytes: Vec<u8>,
    filled: usize,
    sent: usize,
}

impl Records {
    /// What was not sent yet.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..self.filled]
    }

    /// Whether all of it was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.filled
    }

    /// Whether a part of it was sent, and a part not.
    pub(super) fn is_begun(&self) -> bool {
        self.sent > 0
    }

    /// The socket took so many.
    pub(super) fn consume(&mut self, count: usize) {
        self.sent += count.min(self.filled - self.sent);
        if self.is_empty() {
            buffer::give(std::mem::take(&mut self.bytes));
            (self.filled, self.sent) = (0, 0);
        }
    }

    /// Room for `count` bytes behind what is there; [`Self::fill`] says how many are to stay.
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        let end = self.filled + count;
        if self.bytes.capacity() == 0 {
            self.bytes = buffer::take_used(end);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.filled..end]
    }

    /// So many bytes of the room are filled.
    pub(super) fn fill(&mut self, count: usize) {
        self.filled = self.bytes.len().min(self.filled + count);
    }

    /// Appends bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.fill(bytes.len());
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        buffer::give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_makes_room_for_the_next() {
        let mut records = Records::default();
        records.append(b"abc");
        records.room(10)[..2].copy_from_slice(b"de");
        records.fill(2);
        records.consume(1);
        assert!(records.is_begun());
        assert_eq!(records.unsent(), b"bcde");
        records.consume(9);
        assert!(records.is_empty() && !records.is_begun());
        assert_eq!(records.bytes.capacity(), 0);
        records.append(b"f");
        assert_eq!(records.unsent(), b"f");
    }
}
