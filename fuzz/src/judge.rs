//! A second opinion on bytes of HTTP/1.x: a parser that shares nothing with Weft's.
//!
//! It reads in two manners. Strictly it follows RFC 9112 to the letter and knows no more than that. Leniently it does what
//! sloppy servers do: ends lines at a bare LF or CR, takes a name with spaces before its colon, a length with a sign, any
//! coding with `chunked` in it, the chunked coding before a length. What both read in the same way, everybody does.

/// A field's name in lower case, and its value.
pub type Field = (Vec<u8>, Vec<u8>);

/// One request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    pub version: Vec<u8>,
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
    pub trailers: Vec<Field>,
}

/// How to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Strict,
    Lenient,
}

/// Why there is no (further) message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// More bytes are needed.
    Incomplete,
    Malformed(&'static str),
}

/// Takes the first message from the front of the bytes.
pub fn take(bytes: &mut &[u8], manner: Manner) -> Result<Message, Stop> {
    let mut reader = Reader { rest: bytes, manner };
    let message = reader.message()?;
    *bytes = reader.rest;
    Ok(message)
}

impl Message {
    /// All values of a field, in their order.
    pub fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.0 == name).map(|field| &field.1[..])
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    manner: Manner,
}

impl<'a> Reader<'a> {
    fn message(&mut self) -> Result<Message, Stop> {
        let mut first = self.line()?;
        while first.is_empty() {
            first = self.line()?; // RFC 9112 section 2.2
        }
        let parts: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
        let &[method, target, version] = &parts[..] else { return Err(Stop::Malformed("request line")) };
        let known = matches!(version, b"HTTP/1.0" | b"HTTP/1.1");
        if !is_token(method) || target.is_empty() || !is_text(target) || !known {
            return Err(Stop::Malformed("request line"));
        }
        let fields = self.fields()?;
        let (method, target, version) = (method.to_vec(), target.to_vec(), version.to_vec());
        let mut message = Message { method, target, version, fields, ..Message::default() };
        if self.is_chunked(&message)? {
            self.chunks(&mut message)?;
        } else if let Some(length) = self.length(&message)? {
            message.body = self.bytes(length)?.to_vec();
        }
        Ok(message)
    }

    /// A line without its end.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let lenient = self.manner == Manner::Lenient;
        let end =
            self.rest.iter().position(|byte| *byte == b'\n' || lenient && *byte == b'\r').ok_or(Stop::Incomplete)?;
        let (line, rest) = self.rest.split_at(end);
        let crlf = lenient && rest.starts_with(b"\r\n");
        self.rest = &rest[if crlf { 2 } else { 1 }..];
        if lenient {
            return Ok(line);
        }
        let line = line.strip_suffix(b"\r").ok_or(Stop::Malformed("bare LF"))?;
        if line.contains(&b'\r') { Err(Stop::Malformed("bare CR")) } else { Ok(line) }
    }

    fn fields(&mut self) -> Result<Vec<Field>, Stop> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let colon = line.iter().position(|byte| *byte == b':').ok_or(Stop::Malformed("field"))?;
            let (mut name, mut value) = (&line[..colon], trimmed(&line[colon + 1..], b" \t"));
            if self.manner == Manner::Lenient {
                (name, value) = (trimmed(name, SPACES), trimmed(value, SPACES));
            }
            if !is_token(name) || !is_text(value) {
                return Err(Stop::Malformed("field"));
            }
            fields.push((name.to_ascii_lowercase(), value.to_vec()));
        }
    }

    fn is_chunked(&self, message: &Message) -> Result<bool, Stop> {
        let mut codings = message.values(b"transfer-encoding").map(<[u8]>::to_ascii_lowercase);
        let Some(coding) = codings.next() else { return Ok(false) };
        if self.manner == Manner::Lenient {
            return Ok(coding.windows(7).any(|part| part == b"chunked"));
        }
        let lone = codings.next().is_none() && message.values(b"content-length").next().is_none();
        if coding == b"chunked" && lone && message.version == b"HTTP/1.1" {
            return Ok(true);
        }
        Err(Stop::Malformed("transfer coding"))
    }

    fn length(&self, message: &Message) -> Result<Option<usize>, Stop> {
        let mut lengths = message.values(b"content-length");
        let Some(length) = lengths.next() else { return Ok(None) };
        let same = lengths.all(|other| number(other) == number(length));
        let digits = match self.manner {
            Manner::Strict if same && length.iter().all(u8::is_ascii_digit) => length,
            Manner::Strict => return Err(Stop::Malformed("content-length")),
            Manner::Lenient => length.strip_prefix(b"+").unwrap_or(length),
        };
        number(digits).map(Some).ok_or(Stop::Malformed("content-length"))
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Stop::Incomplete)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn chunks(&mut self, message: &mut Message) -> Result<(), Stop> {
        loop {
            let line = self.line()?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let extended = size.len() < line.len();
            let size = if self.manner == Manner::Lenient { trimmed(size, SPACES) } else { size };
            let size = if extended { trimmed(size, b" \t") } else { size };
            let hex = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit) && is_text(line);
            let text = std::str::from_utf8(size).ok().filter(|_| hex);
            let Some(size) = text.and_then(|text| usize::from_str_radix(text, 16).ok()) else {
                return Err(Stop::Malformed("chunk size"));
            };
            if size == 0 {
                message.trailers = self.fields()?;
                return Ok(());
            }
            message.body.extend_from_slice(self.bytes(size)?);
            if !self.line()?.is_empty() {
                return Err(Stop::Malformed("chunk end"));
            }
        }
    }
}

/// What some servers take for whitespace.
const SPACES: &[u8] = b" \t\x0b\x0c\0";

fn trimmed<'a>(mut bytes: &'a [u8], of: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = bytes
        && of.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && of.contains(last)
    {
        bytes = rest;
    }
    bytes
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn is_text(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f)
}
