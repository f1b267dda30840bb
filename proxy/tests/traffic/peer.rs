//! A peer with a valid certificate that keeps to no rule: the cases of the mesh's own frames, and those of HTTP/1.1 as such a
//! peer would carry them.

use std::{net::SocketAddr, rc::Rc};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use weft_certs::MeshTls;
use weft_proxy::mesh::frames;

use super::{
    app::App,
    fixture::{IDENTITY_LINE, Mesh, Proxy, each, id, run},
    http2::Http2App,
    table::{
        self,
        peer::{self, END, Fate, HTTP1, HTTP2, PeerCase},
    },
};

#[test]
fn a_peer_that_breaks_the_rules_of_frames_harms_nobody() {
    run(async || {
        let lab = Rc::new(Lab::new().await);
        let one = |case| {
            let lab = lab.clone();
            async move { lab.frames(case).await }
        };
        each(peer::cases(), |case| case.name, one).await;
    });
}

#[test]
fn what_a_peer_makes_of_http1_is_refused_or_has_one_meaning() {
    run(async || {
        let lab = Rc::new(Lab::new().await);
        let one = |case| {
            let lab = lab.clone();
            async move { lab.carried(case).await }
        };
        each(table::http1(), |case| case.name, one).await;
    });
}

#[test]
fn a_peer_s_length_over_http2_is_kept_to() {
    run(async || {
        let (lab, app) = (Lab::new().await, Http2App::start().await);
        for body in [&b"abc"[..], b"", b"GET /smuggled HTTP/1.1\r\n\r\n"] {
            let head = peer::payload((20, 0, (1, 5)), (b"POST", b"/"), b"host: a\r\n");
            let mut peer = lab.link().await;
            let frames = [peer::open(1, HTTP2, app.address.port()), peer::head(1, 0, &head), peer::data(1, END, body)];
            peer.send(&frames.concat()).await.unwrap();
            assert_eq!(peer.fate(1).await, Told::Reset(4), "{}", String::from_utf8_lossy(body));
        }
        assert!(app.seen.take().is_empty());
    });
}

/// A proxy with its mesh port and its app, and what a peer holds.
struct Lab {
    _proxy: Proxy,
    app: App,
    port: SocketAddr,
    peer: MeshTls,
}

impl Lab {
    async fn new() -> Self {
        let (proxy, app, mesh) = (Proxy::new(), App::start().await, Mesh::new());
        proxy.declare_http1(app.address.port());
        let port = proxy.mesh_port(&mesh.tls("users")).await;
        Self { _proxy: proxy, app, port, peer: mesh.tls("orders") }
    }

    async fn link(&self) -> Peer {
        let io = TcpStream::connect(self.port).await.unwrap();
        let name = ServerName::IpAddress(self.port.ip().into());
        let tls = TlsConnector::from(self.peer.client_for(&id("users"))).connect(name, io).await.unwrap();
        Peer { io: tls, input: Vec::new(), ended: false }
    }

    async fn frames(&self, case: &PeerCase) {
        let name = format!("{} ({})", case.name, case.source);
        let mut peer = self.link().await;
        // A link that has ended may be closed before all of it is there.
        let _ = peer.send(&(case.frames)(self.app.address.port())).await;
        match case.becomes {
            Fate::LinkEnds => peer.ends(&name).await,
            Fate::Refused(code) => assert_eq!(peer.fate(1).await, Told::Refused(code), "{name}"),
            Fate::Malformed => {
                let told = peer.fate(1).await;
                assert!(matches!(told, Told::Refused(9) | Told::Reset(4)), "{name}: {told:?}");
            }
            Fate::Reset(code) => assert_eq!(peer.fate(1).await, Told::Reset(code), "{name}"),
            Fate::Passed(_) => assert_eq!(peer.fate(1).await, Told::Answered, "{name}"),
            Fate::Gone => {}
        }
        if !peer.ended {
            peer.goes_on(&name, self.app.address.port()).await;
        }
        drop(peer);
        let seen = self.app.seen().await;
        let whole: Vec<_> = seen.iter().filter(|message| message.whole && !is_good(&message.text)).collect();
        assert!(seen.iter().all(|message| message.flaw.is_none()), "{name}: {seen:?}");
        match case.becomes {
            Fate::Passed(wanted) => {
                assert!(whole.len() == 1 && without_identity(&whole[0].text) == wanted, "{name}: {whole:?}");
            }
            _ => assert!(whole.is_empty(), "{name}: {whole:?}"),
        }
    }

    /// The case as a peer carries it that checks nothing: its lines as they are, its rest as DATA, framed in each way.
    async fn carried(&self, case: &table::Case) {
        let mut peer = self.link().await;
        let Message { words, lines, rest } = cut(case.bytes);
        let length = rest.len() as u64;
        for (stream, framing) in (1..).step_by(2).zip([peer::NONE, (1, length), (1, length + 5), peer::CHUNKED]) {
            let head = peer::payload((11, 0, framing), words, lines);
            let frames = [
                peer::open(stream, HTTP1, self.app.address.port()),
                peer::head(stream, 0, &head[..head.len().min(120 << 10)]),
                peer::data(stream, END, &rest[..rest.len().min(120 << 10)]),
            ];
            peer.send(&frames.concat()).await.unwrap();
            peer.fate(stream).await;
        }
        peer.goes_on(case.name, self.app.address.port()).await;
        for message in self.app.seen().await {
            assert_eq!(message.flaw, None, "{}: {message:?}", case.name);
            let smuggled = message.text.split(' ').nth(1).is_some_and(|target| target.contains("smuggled"));
            assert!(!smuggled, "{}: {message:?}", case.name);
            let named = message.text.matches("weft-client-identity").count();
            assert!(!message.whole || named == 1, "{}: {message:?}", case.name);
        }
    }
}

/// A message without the line that the proxy adds; it must be there once.
fn without_identity(text: &str) -> String {
    let line = format!("{IDENTITY_LINE}\r\n");
    assert_eq!(text.matches(&line).count(), 1, "{text}");
    let rest = text.replace(&line, "").replace("transfer-encoding: chunked\r\n", "");
    rest.replacen("\r\n\r\n", "\r\n", 1)
}

fn is_good(text: &str) -> bool {
    text.starts_with("GET /after ")
}

/// A case, cut up without a look at what is in it.
struct Message<'a> {
    /// Method and target.
    words: (&'a [u8], &'a [u8]),
    lines: &'a [u8],
    rest: &'a [u8],
}

fn cut(bytes: &[u8]) -> Message<'_> {
    let find = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let first = find(b"\r\n").map_or(bytes.len(), |at| at + 2);
    let end = find(b"\r\n\r\n").map_or(bytes.len(), |at| at + 2);
    let (line, lines, rest) = (&bytes[..first], &bytes[first.min(end)..end], &bytes[(end + 2).min(bytes.len())..]);
    let method = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let target = line.windows(5).rposition(|window| window == b" HTTP").unwrap_or(line.len());
    Message { words: (&line[..method], line.get(method + 1..target).unwrap_or_default()), lines, rest }
}

/// What a stream was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Refused(u16),
    Reset(u16),
    Answered,
    LinkEnded,
}

struct Peer {
    io: TlsStream<TcpStream>,
    input: Vec<u8>,
    ended: bool,
}

impl Peer {
    async fn send(&mut self, frames: &[u8]) -> std::io::Result<()> {
        self.io.write_all(frames).await?;
        self.io.flush().await
    }

    /// A request on a new stream is answered by the app.
    async fn goes_on(&mut self, name: &str, port: u16) {
        let head = peer::payload((11, 0, peer::NONE), (b"GET", b"/after"), b"Host: a\r\n");
        self.send(&[peer::open(1 << 30, HTTP1, port), peer::head(1 << 30, END, &head)].concat()).await.unwrap();
        assert_eq!(self.fate(1 << 30).await, Told::Answered, "{name}: the link does not go on");
    }

    /// GOAWAY, and the end.
    async fn ends(&mut self, name: &str) {
        while self.next().await.is_some() {}
        assert!(self.ended, "{name}: the link goes on");
    }

    /// What the stream is told at last.
    async fn fate(&mut self, stream: u32) -> Told {
        while let Some((kind, flags, of, payload)) = self.next().await {
            let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
            match (kind, code) {
                _ if of != stream => {}
                (frames::Kind::REFUSE, Some(code)) => return Told::Refused(code),
                (frames::Kind::RESET, Some(code)) => return Told::Reset(code),
                _ if flags & END != 0 => return Told::Answered,
                _ => {}
            }
        }
        Told::LinkEnded
    }

    /// The next frame. None: the link has ended.
    async fn next(&mut self) -> Option<(frames::Kind, u8, u32, Vec<u8>)> {
        loop {
            if let Some(frame) = frames::first(&self.input).unwrap() {
                let (size, next) = (frame.size(), (frame.kind, frame.flags.0, frame.stream, frame.payload.to_vec()));
                self.input.drain(..size);
                return Some(next);
            }
            if !matches!(self.io.read_buf(&mut self.input).await, Ok(read) if read > 0) {
                self.ended = true;
                return None;
            }
        }
    }
}
