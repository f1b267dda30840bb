//! The app behind the proxy: judges what reaches it more strictly than any next hop does, and writes it down.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
};

/// A message that reached the app.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Head, body without its chunks, trailer lines.
    pub text: String,
    /// Whether it came to its end.
    pub whole: bool,
    /// What another parser might read otherwise.
    pub flaw: Option<&'static str>,
}

/// An app that answers each request with its target.
#[derive(Clone)]
pub struct App {
    pub address: SocketAddr,
    seen: Rc<RefCell<Vec<Seen>>>,
    /// Messages that have begun and not ended.
    busy: Rc<Cell<usize>>,
}

impl App {
    /// Serves on loopback for as long as the tasks of this thread live.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self { address: listener.local_addr().unwrap(), seen: Rc::default(), busy: Rc::default() };
        let (seen, busy) = (app.seen.clone(), app.busy.clone());
        spawn_local(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                spawn_local(Connection { io, input: Vec::new(), seen: seen.clone(), busy: busy.clone() }.serve());
            }
        });
        app
    }

    /// What came since the last time, once nothing is half-way here any more.
    pub async fn seen(&self) -> Vec<Seen> {
        super::fixture::eventually("the app's connections are at rest", || self.busy.get() == 0).await;
        self.seen.take()
    }
}

struct Connection {
    io: TcpStream,
    input: Vec<u8>,
    seen: Rc<RefCell<Vec<Seen>>>,
    /// Messages that have begun and not ended.
    busy: Rc<Cell<usize>>,
}

impl Connection {
    async fn serve(mut self) {
        while !self.input.is_empty() || self.fill().await {
            self.busy.update(|busy| busy + 1);
            let mut seen = Seen::default();
            let answer = self.message(&mut seen).await;
            let goes_on = seen.whole && seen.flaw.is_none();
            self.seen.borrow_mut().push(seen);
            self.busy.update(|busy| busy - 1);
            if !goes_on || self.io.write_all(answer.unwrap_or_default().as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// Reads one message; None if it is cut short or flawed. Gives the answer to it.
    async fn message(&mut self, seen: &mut Seen) -> Option<String> {
        let head = self.until(b"\r\n\r\n", &mut seen.text).await?;
        let body = match framing(&head) {
            Ok(body) => body,
            Err(flaw) => {
                seen.flaw = Some(flaw);
                return None;
            }
        };
        match body {
            Body::Length(length) => self.take(length, &mut seen.text).await?,
            Body::Chunked => self.chunks(seen).await?,
        }
        seen.whole = true;
        let mut words = head.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let old = if head.contains(" HTTP/1.0\r\n") { "connection: keep-alive\r\n" } else { "" };
        let body = if method == "HEAD" { "" } else { target };
        Some(format!("HTTP/1.1 200 OK\r\n{old}content-length: {}\r\n\r\n{body}", target.len()))
    }

    async fn chunks(&mut self, seen: &mut Seen) -> Option<()> {
        loop {
            let size = self.until(b"\r\n", &mut String::new()).await?;
            let digits = size.trim_end_matches("\r\n");
            if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                seen.flaw = Some("a chunk's size");
                return None;
            }
            let size = usize::from_str_radix(digits, 16).unwrap();
            if size == 0 {
                break;
            }
            self.take(size, &mut seen.text).await?;
            if self.until(b"\r\n", &mut String::new()).await? != "\r\n" {
                seen.flaw = Some("a chunk's end");
                return None;
            }
        }
        loop {
            let mut line = String::new();
            if self.until(b"\r\n", &mut line).await? == "\r\n" {
                return Some(());
            }
            seen.flaw = seen.flaw.or(flaw_of(line.trim_end_matches("\r\n")));
            seen.text += &line;
        }
    }

    /// Everything up to and with `end`; what came of it if the connection ends before.
    async fn until(&mut self, end: &[u8], text: &mut String) -> Option<String> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                let rest = self.input.split_off(at + end.len());
                let taken = String::from_utf8_lossy(&std::mem::replace(&mut self.input, rest)).into_owned();
                *text += &taken;
                return Some(taken);
            }
            if !self.fill().await {
                *text += &String::from_utf8_lossy(&std::mem::take(&mut self.input));
                return None;
            }
        }
    }

    async fn take(&mut self, length: usize, text: &mut String) -> Option<()> {
        while self.input.len() < length {
            if !self.fill().await {
                *text += &String::from_utf8_lossy(&std::mem::take(&mut self.input));
                return None;
            }
        }
        let rest = self.input.split_off(length);
        *text += &String::from_utf8_lossy(&std::mem::replace(&mut self.input, rest));
        Some(())
    }

    async fn fill(&mut self) -> bool {
        matches!(self.io.read_buf(&mut self.input).await, Ok(read) if read > 0)
    }
}

enum Body {
    Length(usize),
    Chunked,
}

/// How the body of a message with this head ends, if there is but one way to read it.
fn framing(head: &str) -> Result<Body, &'static str> {
    let mut lines = head.strip_suffix("\r\n\r\n").ok_or("the head's end")?.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = first[..] else { return Err("the request line") };
    if method.is_empty()
        || !method.bytes().all(is_token)
        || target.is_empty()
        || !target.bytes().all(|b| b > b' ' && b != 0x7f)
    {
        return Err("method or target");
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        if let Some(flaw) = flaw_of(line) {
            return Err(flaw);
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    if hosts > 1 || hosts == 0 && version == "HTTP/1.1" {
        return Err("hosts");
    }
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Body::Length(0)),
        ([length], []) if length.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Body::Length(length.parse().unwrap_or_default()))
        }
        ([], ["chunked"]) if version == "HTTP/1.1" => Ok(Body::Chunked),
        _ => Err("the framing"),
    }
}

/// What is wrong with a line of a field.
fn flaw_of(line: &str) -> Option<&'static str> {
    let Some((name, value)) = line.split_once(':') else { return Some("a line without a colon") };
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(is_token) {
        return Some("a name that is no token");
    }
    if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
        return Some("a control byte in a value");
    }
    let of_one_connection = ["keep-alive", "proxy-connection", "http2-settings"].contains(&lower.as_str());
    if of_one_connection {
        return Some("a field of one connection");
    }
    let spoofed = lower.starts_with("weft") && lower[4..].starts_with(['-', '_']);
    (spoofed && line != super::fixture::IDENTITY_LINE).then_some("a field that is Weft's")
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
