//! Writes netlink messages and their nested attributes into one buffer.
//!
//! Only bytes: what they mean is `expression`'s and `transaction`'s, sending them is `socket`'s.

/// Flag of an attribute type: holds attributes.
const NESTED: u16 = 1 << 15;

/// Lengths of the netlink header and of the nf_netlink header behind it.
const HEADER: usize = 16;

/// A row of netlink messages, numbered from 0: the kernel's answers carry the number.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    start: usize,
    count: u32,
}

/// What stands at the start of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// What the message asks for.
    pub(super) kind: u16,
    /// `NLM_F_*`; that it is a request is added.
    pub(super) flags: i32,
    /// `NFPROTO_*`.
    pub(super) family: u8,
    /// The subsystem, for the messages around a transaction.
    pub(super) resource: u16,
}

impl Messages {
    /// Starts a message.
    pub(super) fn begin(&mut self, header: Header) {
        self.start = self.bytes.len();
        self.bytes.extend_from_slice(&0u32.to_ne_bytes()); // length, when it is known
        self.bytes.extend_from_slice(&header.kind.to_ne_bytes());
        self.bytes.extend_from_slice(&((header.flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes()); // to the kernel
        debug_assert_eq!(self.bytes.len() - self.start, HEADER);
        self.bytes.extend_from_slice(&[header.family, 0]); // version 0
        self.bytes.extend_from_slice(&header.resource.to_be_bytes());
    }

    /// Ends the message that `begin` started.
    pub(super) fn finish(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
        self.count += 1;
    }

    /// An attribute of plain bytes.
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// An attribute that is a number, in network order as nf_tables wants it.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// An attribute that is a string with its NUL.
    pub(super) fn string(&mut self, kind: u16, value: &str) {
        let mut with_nul = value.as_bytes().to_vec();
        with_nul.push(0);
        self.bytes(kind, &with_nul);
    }

    /// An attribute that holds attributes.
    pub(super) fn nested<R>(&mut self, kind: u16, fill: impl FnOnce(&mut Self) -> R) -> R {
        let start = self.bytes.len();
        self.bytes(kind | NESTED, &[]);
        let result = fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        result
    }

    /// All that was written.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_lengths_are_true() {
        let mut messages = Messages::default();
        messages.begin(Header { kind: 7, flags: 0, family: 2, resource: 10 });
        messages.nested(1, |inner| inner.string(2, "ab"));
        messages.finish();
        let bytes = messages.as_slice();
        assert_eq!(bytes.len(), 20 + 4 + 8);
        assert_eq!(&bytes[..4], &32u32.to_ne_bytes());
        assert_eq!(&bytes[18..20], &[0, 10], "the resource is in network order");
        assert_eq!(&bytes[20..24], [12u16.to_ne_bytes(), (1 | NESTED).to_ne_bytes()].as_flattened());
        assert_eq!(&bytes[24..28], [7u16.to_ne_bytes(), 2u16.to_ne_bytes()].as_flattened());
        assert_eq!(&bytes[28..], b"ab\0\0");
    }
}
