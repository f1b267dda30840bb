//! The server name in a TLS ClientHello (RFC 6066 section 3), for logs and metrics. Nothing is decided by it.

/// The name that the client asks for, as far as the bytes have it. None: no ClientHello, no name, or not yet all of it.
///
/// Only the first record is looked at.
pub fn server_name(bytes: &[u8]) -> Option<&str> {
    let mut record = Reader(bytes);
    let [kind, major, _, _, _] = record.array()?;
    if (kind, major) != (0x16, 3) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let mut hello = Reader(&record.0[..length.min(record.0.len())]);
    let [message, _, _, _] = hello.array()?;
    if message != 1 {
        return None;
    }
    hello.skip(2 + 32)?; // version, random
    let [session] = hello.array()?;
    hello.skip(session.into())?;
    let suites = hello.length()?;
    hello.skip(suites)?;
    let [compressions] = hello.array()?;
    hello.skip(compressions.into())?;
    hello.length()?; // of all extensions
    loop {
        let [high, low] = hello.array()?;
        let length = hello.length()?;
        if u16::from_be_bytes([high, low]) == 0 {
            return host_name(Reader(hello.take(length)?));
        }
        hello.skip(length)?;
    }
}

/// The first entry of the list, if it is a host name that a log can bear.
fn host_name(mut list: Reader<'_>) -> Option<&str> {
    list.length()?;
    let [kind] = list.array()?;
    let length = list.length()?;
    let name = list.take(length)?;
    let printable = name.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b));
    if kind != 0 || name.is_empty() || name.len() > 253 || !printable {
        return None;
    }
    std::str::from_utf8(name).ok()
}

/// Bytes that are taken from the front, never beyond the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A length of two bytes.
    fn length(&mut self) -> Option<usize> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }
}
