//! One pass over the parsed fields of a head: what they say about the message, and which of them go on.

use httparse::Header;

use crate::http::{Flaw, Framing, MAX_FIELDS, Version, eq, is_connection_specific, is_of_weft};

/// A set of fields by their place in the head.
pub(super) type Places = u128;

const _: () = assert!(MAX_FIELDS <= Places::BITS as usize);

/// What the fields of a head say.
#[derive(Default)]
pub(super) struct Scan<'h> {
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) hosts: usize,
    pub(super) host: &'h [u8],
    pub(super) host_at: usize,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    /// Connection names Upgrade.
    pub(super) upgrade_named: bool,
    /// Connection names fields that must go with it.
    pub(super) names_fields: bool,
    /// There is an Upgrade field, and it does not offer h2c.
    pub(super) upgrade_offered: bool,
    pub(super) expects_continue: bool,
    /// TE is there, with trailers among its values.
    pub(super) te_trailers: bool,
    /// TE says more than that, or something else.
    pub(super) te_more: bool,
    /// Fields of one connection, framing fields, and a TE that says more than trailers.
    pub(super) hop: Places,
    /// Upgrade fields.
    pub(super) upgrades: Places,
    /// `weft-` fields.
    pub(super) weft: Places,
}

impl<'h> Scan<'h> {
    pub(super) fn new(headers: &[Header<'h>]) -> Result<Self, Flaw> {
        let mut scan = Self::default();
        let mut h2c = false;
        for (at, header) in headers.iter().enumerate() {
            let (name, place) = (header.name.as_bytes(), 1 << at);
            match name.len() {
                2 if eq(name, b"te") => scan.te(header.value, place),
                4 if eq(name, b"host") => {
                    (scan.host, scan.host_at) = (header.value, at);
                    scan.hosts += 1;
                }
                6 if eq(name, b"expect") => scan.expects_continue |= eq(header.value, b"100-continue"),
                7 if eq(name, b"upgrade") => {
                    scan.upgrades |= place;
                    h2c |= tokens(header.value).any(|token| eq(token, b"h2c"));
                }
                10 if eq(name, b"connection") => scan.connection(header.value, place),
                14 if eq(name, b"content-length") => scan.content_length(header.value, place)?,
                17 if eq(name, b"transfer-encoding") => scan.transfer_encoding(header.value, place)?,
                10 | 14 | 16 if is_connection_specific(name) => scan.hop |= place,
                _ if is_of_weft(name) => scan.weft |= place,
                _ => {}
            }
        }
        if scan.chunked && scan.content_length.is_some() {
            return Err(Flaw::Framing);
        }
        scan.upgrade_offered = scan.upgrades != 0 && !h2c;
        Ok(scan)
    }

    /// How the body is delimited by what the fields declare, None if they say nothing.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, Flaw> {
        match (self.chunked, self.content_length) {
            // A sender of HTTP/1.0 knows no transfer coding: the framing is faulty (RFC 9112 section 6.1).
            (true, _) if version == Version::Http10 => Err(Flaw::Framing),
            (true, _) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }

    /// Whether the sender lets the connection live on.
    pub(super) fn lives_on(&self, version: Version) -> bool {
        !self.close && (version != Version::Http10 || self.keep_alive)
    }

    /// Lets the Upgrade fields go on.
    pub(super) fn keep_upgrade(&mut self) {
        self.upgrades = 0;
    }

    /// The fields that stay behind.
    pub(super) fn dropped(&self, headers: &[Header<'_>]) -> Places {
        self.hop | self.weft | self.upgrades | self.named(headers)
    }

    /// The fields that Connection names. What has a rule of its own here is not dropped on its word.
    fn named(&self, headers: &[Header<'_>]) -> Places {
        if !self.names_fields {
            return 0;
        }
        let mut places = 0;
        for (at, header) in headers.iter().enumerate() {
            let name = header.name.as_bytes();
            let options = headers.iter().filter(|header| eq(header.name.as_bytes(), b"connection"));
            let named = options.flat_map(|header| tokens(header.value)).any(|token| eq(token, name));
            if named && ![&b"host"[..], b"te", b"upgrade"].iter().any(|kept| eq(name, kept)) {
                places |= 1 << at;
            }
        }
        places
    }

    fn connection(&mut self, value: &[u8], place: Places) {
        self.hop |= place;
        for token in tokens(value) {
            match token.len() {
                0 => {}
                2 if eq(token, b"te") => {}
                5 if eq(token, b"close") => self.close = true,
                7 if eq(token, b"upgrade") => self.upgrade_named = true,
                10 if eq(token, b"keep-alive") => self.keep_alive = true,
                _ => self.names_fields = true,
            }
        }
    }

    fn te(&mut self, value: &[u8], place: Places) {
        if eq(value, b"trailers") && !self.te_trailers {
            self.te_trailers = true;
            return;
        }
        self.hop |= place;
        if tokens(value).any(|token| eq(token, b"trailers")) && !self.te_trailers {
            (self.te_trailers, self.te_more) = (true, true);
        }
    }

    fn content_length(&mut self, value: &[u8], place: Places) -> Result<(), Flaw> {
        self.hop |= place;
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Flaw::ContentLength);
        }
        let number =
            value.iter().try_fold(0i64, |number, digit| number.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
        let length = number.ok_or(Flaw::ContentLength)? as u64;
        match self.content_length.replace(length) {
            Some(before) if before != length => Err(Flaw::ContentLength),
            _ => Ok(()),
        }
    }

    fn transfer_encoding(&mut self, value: &[u8], place: Places) -> Result<(), Flaw> {
        self.hop |= place;
        if !eq(value, b"chunked") {
            return Err(Flaw::TransferCoding);
        }
        if std::mem::replace(&mut self.chunked, true) { Err(Flaw::Framing) } else { Ok(()) }
    }
}

/// Whether a line of the head ends in LF alone, which `httparse` allows.
pub(super) fn has_bare_line_feed(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    head.first() == Some(&b'\n')
        || pairs.fold(false, |bare, (before, byte)| bare | ((*byte == b'\n') & (*before != b'\r')))
}

/// Appends the lines of the fields that are not dropped.
///
/// A stretch of lines that stand in the input just as they leave is copied in one go.
pub(super) fn copy_lines(input: &[u8], headers: &[Header<'_>], dropped: Places, out: &mut Vec<u8>) {
    let mut run = 0..0;
    for (at, header) in headers.iter().enumerate() {
        if dropped & (1 << at) != 0 {
            continue;
        }
        let name = (header.name.as_ptr() as usize).wrapping_sub(input.as_ptr() as usize);
        let value = (header.value.as_ptr() as usize).wrapping_sub(input.as_ptr() as usize);
        let (colon, end) = (name.wrapping_add(header.name.len()), value.wrapping_add(header.value.len()));
        let as_it_leaves = value == colon.wrapping_add(2)
            && input.get(colon..value) == Some(b": ")
            && input.get(end..end.wrapping_add(2)) == Some(b"\r\n");
        if as_it_leaves && name == run.end {
            run.end = end + 2;
            continue;
        }
        out.extend_from_slice(&input[run]);
        if as_it_leaves {
            run = name..end + 2;
        } else {
            run = 0..0;
            crate::http::put_field(header.name.as_bytes(), header.value, out);
        }
    }
    out.extend_from_slice(&input[run]);
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii)
}
