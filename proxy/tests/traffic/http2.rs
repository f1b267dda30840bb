//! The cases of HTTP/2, from both sides that clients come from. Behind the proxy is a server of the h2 crate.

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
};
use weft_api::AppProtocol;

use super::{
    fixture::{Proxy, Side, each, run},
    table::http2::{Fate, Http2Case, beginning, cases, frame, good},
};

#[test]
fn frames_from_an_app_are_refused_or_have_one_meaning() {
    every_case(Side::Outbound);
}

#[test]
fn frames_from_outside_of_the_mesh_are_refused_or_have_one_meaning() {
    every_case(Side::Inbound);
}

fn every_case(side: Side) {
    run(async || {
        let (proxy, app) = (Rc::new(Proxy::new()), Http2App::start().await);
        let one = |case| {
            let (proxy, app) = (proxy.clone(), app.clone());
            async move { one(&proxy, &app, (side, case)).await }
        };
        each(cases(), |case| case.name, one).await;
    });
}

async fn one(proxy: &Proxy, app: &Http2App, (side, case): (Side, &Http2Case)) {
    let name = format!("{} ({}) {side:?}", case.name, case.source);
    let mut client = Client::connect(proxy, (side, app)).await;
    // A connection that has ended may be closed before all of it is there.
    let _ = client.io.write_all(&(case.frames)()).await;
    match case.becomes {
        Fate::Ends => client.ends(&name).await,
        Fate::Reset => {
            let told = client.told(1).await;
            assert!(matches!(told, Told::Reset | Told::Answered(0x8c | 0x8e | OTHER)), "{name}: {told:?}");
        }
        Fate::Refused => assert_eq!(client.told(1).await, Told::Answered(0x8c), "{name}"),
        Fate::Passed(_) => assert_eq!(client.told(1).await, Told::Answered(0x88), "{name}"),
    }
    if case.becomes != Fate::Ends {
        client.goes_on(&name).await;
    }
    Client::connect(proxy, (side, app)).await.goes_on(&name).await;
    let seen: Vec<_> = app.seen.take().into_iter().filter(|message| !message.contains("/after")).collect();
    match case.becomes {
        Fate::Passed(wanted) => assert_eq!(seen, [wanted], "{name}"),
        Fate::Ends | Fate::Reset | Fate::Refused => assert!(seen.is_empty(), "{name}: {seen:?}"),
    }
}

/// An app that writes down what reached it whole.
#[derive(Clone)]
pub struct Http2App {
    pub address: SocketAddr,
    pub seen: Rc<RefCell<Vec<String>>>,
}

impl Http2App {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self { address: listener.local_addr().unwrap(), seen: Rc::default() };
        let seen = app.seen.clone();
        spawn_local(async move {
            while let Ok((io, _)) = listener.accept().await {
                let seen = seen.clone();
                spawn_local(async move {
                    let mut connection = h2::server::handshake(io).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        spawn_local(answer(request, respond, seen.clone()));
                    }
                });
            }
        });
        app
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Rc<RefCell<Vec<String>>>) {
    let (parts, mut body) = request.into_parts();
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    text += "\n";
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return };
        let _ = body.flow_control().release_capacity(data.len());
        text += &String::from_utf8_lossy(&data);
    }
    match body.trailers().await {
        Err(_) => return,
        Ok(None) => {}
        Ok(Some(trailers)) => {
            for (name, value) in &trailers {
                text += &format!("\n{name}: {}\n", value.to_str().unwrap());
            }
        }
    }
    seen.borrow_mut().push(text);
    let _ = respond.send_response(Response::new(()), true);
}

/// A `:status` that has no index of its own, such as 431; a good answer's has one.
const OTHER: u8 = 0x48;

/// What a stream was told; of an answer the first byte of its fields, which is `:status` by its index.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Answered(u8),
    Reset,
    Ended,
}

struct Client {
    io: TcpStream,
    input: Vec<u8>,
}

impl Client {
    async fn connect(proxy: &Proxy, (side, app): (Side, &Http2App)) -> Self {
        let mut io = proxy.client(side, app.address, AppProtocol::Http2).await;
        io.write_all(&beginning()).await.unwrap();
        Self { io, input: Vec::new() }
    }

    /// A request on a new stream is answered by the app.
    async fn goes_on(&mut self, name: &str) {
        self.io.write_all(&good(1_000_001)).await.unwrap();
        let told = self.told(1_000_001).await;
        assert_eq!(told, Told::Answered(0x88), "{name}: the connection does not go on");
    }

    /// GOAWAY or not: nothing more comes. A client that is not told may have to speak to see it.
    async fn ends(&mut self, name: &str) {
        while let Some((kind, ..)) = self.next().await {
            if kind == 7 {
                return;
            }
            let _ = self.io.write_all(&frame(6, 1, 0, &[0; 8])).await;
        }
        assert!(self.input.is_empty(), "{name}: {:?}", self.input);
    }

    async fn told(&mut self, stream: u32) -> Told {
        while let Some((kind, _, of, payload)) = self.next().await {
            match kind {
                3 if of == stream => return Told::Reset,
                1 if of == stream => return Told::Answered(status(&payload)),
                _ => {}
            }
        }
        Told::Ended
    }

    /// The next frame. None: the connection has ended.
    async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            if let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = &self.input[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if rest.len() >= length {
                    let frame = (*kind, *flags, u32::from_be_bytes([*d, *e, *f, *g]), rest[..length].to_vec());
                    self.input.drain(..9 + length);
                    return Some(frame);
                }
            }
            if !matches!(self.io.read_buf(&mut self.input).await, Ok(read) if read > 0) {
                return None;
            }
        }
    }
}

/// The first field's index, past a change of the table's size.
fn status(block: &[u8]) -> u8 {
    block.iter().copied().find(|byte| byte & 0xe0 != 0x20).unwrap_or_default()
}
