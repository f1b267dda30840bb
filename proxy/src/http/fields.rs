//! Field lines: iterating them, judging names, checking lines that a peer made.

use memchr::{memchr, memmem};

use super::Flaw;

/// The most fields a head may have.
pub const MAX_FIELDS: usize = 100;

/// One header or trailer field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// In the case it came in.
    pub name: &'a [u8],
    /// Without the whitespace around it.
    pub value: &'a [u8],
}

/// The fields of a payload in their order.
///
/// A line without a colon is passed over: the writers refuse a payload that has one.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Iterates over lines `name: value\r\n`.
    pub fn new(lines: &'a [u8]) -> Self {
        Self { rest: lines }
    }

    /// The value of the first field of that name, in whatever case.
    pub fn find(self, name: &[u8]) -> Option<&'a [u8]> {
        let mut fields = self;
        fields.find_map(|field| eq(field.name, name).then_some(field.value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest;
            if let Some(colon) = line.iter().position(|b| *b == b':') {
                return Some(Field { name: &line[..colon], value: line[colon + 1..].trim_ascii() });
            }
        }
        None
    }
}

/// The same fields, but each line is held against the grammar.
pub(crate) fn checked(lines: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Flaw>> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = memmem::find(rest, b"\r\n") else {
            rest = &[];
            return Some(Err(Flaw::Field));
        };
        let line = &rest[..end];
        rest = &rest[end + 2..];
        Some(checked_line(line))
    })
}

fn checked_line(line: &[u8]) -> Result<Field<'_>, Flaw> {
    let colon = memchr(b':', line).ok_or(Flaw::Field)?;
    let (name, value) = (&line[..colon], trimmed(&line[colon + 1..]));
    if !valid_name(name) {
        return Err(Flaw::Syntax(httparse::Error::HeaderName));
    }
    if !valid_value(value) {
        return Err(Flaw::Syntax(httparse::Error::HeaderValue));
    }
    Ok(Field { name, value })
}

/// The value without spaces and tabs around it; other whitespace is no value's.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Appends trailer lines, without those that have no place in trailers. Line feeds alone, and what is no field, are errors.
pub(crate) fn put_trailers(lines: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
    let start = out.len();
    for (count, field) in checked(lines).enumerate() {
        let flaw = match field {
            Ok(_) if count >= MAX_FIELDS => Flaw::TooLarge,
            Ok(field) => {
                if !is_no_trailer(field.name) {
                    put_field(field.name, field.value, out);
                }
                continue;
            }
            Err(flaw) => flaw,
        };
        out.truncate(start);
        return Err(flaw);
    }
    Ok(())
}

/// Appends one line.
pub(crate) fn put_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Compares names.
pub(crate) fn eq(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// Whether the name is one that only Weft may give: `weft-` or `weft_` and anything.
///
/// The underscore is there for apps that fold it and the hyphen together, as CGI does.
pub(crate) fn is_of_weft(name: &[u8]) -> bool {
    matches!(name, [b'w' | b'W', _, _, _, b'-' | b'_', ..]) && eq(&name[..4], b"weft")
}

/// Whether the field speaks of one connection only (RFC 9110 section 7.6.1), TE and Upgrade apart.
pub(crate) fn is_connection_specific(name: &[u8]) -> bool {
    match name.len() {
        10 => eq(name, b"connection") || eq(name, b"keep-alive"),
        14 => eq(name, b"http2-settings"),
        16 => eq(name, b"proxy-connection"),
        _ => false,
    }
}

/// Whether a trailer of that name is dropped: framing, routing and what is of one connection (RFC 9110 section 6.5.1).
pub(crate) fn is_no_trailer(name: &[u8]) -> bool {
    is_of_weft(name)
        || is_connection_specific(name)
        || match name.len() {
            2 => eq(name, b"te"),
            4 => eq(name, b"host"),
            7 => eq(name, b"upgrade") || eq(name, b"trailer"),
            14 => eq(name, b"content-length"),
            17 => eq(name, b"transfer-encoding"),
            _ => false,
        }
}

/// Whether the bytes are a token, as names and methods are (RFC 9110 section 5.6.2).
pub(crate) fn valid_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Whether the bytes may stand in a field's value or a reason phrase.
pub(crate) fn valid_value(value: &[u8]) -> bool {
    value.iter().all(|b| matches!(b, b'\t' | b' '..=0x7e | 0x80..))
}
