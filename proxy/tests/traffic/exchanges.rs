//! Exchanges that are out of the ordinary, as scripts of both ends.

use std::rc::Rc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weft_api::AppProtocol;

use super::fixture::{Proxy, Side, each, run};

/// A script, to be played on one connection of a client.
struct Exchange {
    name: &'static str,
    /// A section of an RFC.
    source: &'static str,
    steps: &'static [Step],
}

enum Step {
    /// The client sends.
    Send(&'static str),
    /// The app gets exactly this; on a fresh connection if it has none.
    Gets(&'static str),
    /// The app answers.
    Answers(&'static str),
    /// The client sees exactly this.
    Sees(&'static str),
    /// The client sees something that begins so, and whatever follows it until the connection ends.
    SeesAtLast(&'static str),
    /// The client ends its half.
    Ends,
    /// The app sees that.
    GetsEnd,
    /// The app ends its half.
    AppEnds,
    /// The app closes.
    AppCloses,
    /// The app breaks its connection off.
    AppResets,
    /// The client sees that nothing more comes.
    SeesEnd,
    /// The client's connection is broken off: what it saw is not to be taken for whole.
    SeesReset,
}
use Step::{Answers, AppCloses, AppEnds, AppResets, Ends, Gets, GetsEnd, Sees, SeesAtLast, SeesEnd, SeesReset, Send};

const fn exchange(name: &'static str, source: &'static str, steps: &'static [Step]) -> Exchange {
    Exchange { name, source, steps }
}

/// The next request on the client's connection works.
const NEXT: [&str; 4] = [
    "GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext",
    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext",
];

const EXCHANGES: &[Exchange] = &[
    exchange(
        "WebSocket, bytes both ways, and either half ends by itself",
        "RFC 6455 4; RFC 9110 7.8",
        &[
            Send(
                "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: k==\r\n\r\n",
            ),
            Gets(
                "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k==\r\nconnection: upgrade\r\n\r\n",
            ),
            Answers(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s\r\n\r\n",
            ),
            Sees(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s\r\nconnection: upgrade\r\n\r\n",
            ),
            Send("\u{81}ping"),
            Gets("\u{81}ping"),
            Answers("GET / HTTP/1.1\r\n\r\nis no request here"),
            Sees("GET / HTTP/1.1\r\n\r\nis no request here"),
            Ends,
            GetsEnd,
            Answers("last words"),
            AppEnds,
            Sees("last words"),
            SeesEnd,
        ],
    ),
    exchange(
        "the first bytes come with the switch",
        "RFC 9110 7.8",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nearly"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nconnection: upgrade\r\n\r\n"),
            Answers("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"),
            Sees("HTTP/1.1 101 S\r\nUpgrade: x\r\nconnection: upgrade\r\n\r\nhello"),
            Gets("early"),
        ],
    ),
    exchange(
        "a reset after the switch is passed on as one",
        "RFC 9293 3.5.3",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nconnection: upgrade\r\n\r\n"),
            Answers("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
            Sees("HTTP/1.1 101 S\r\nUpgrade: x\r\nconnection: upgrade\r\n\r\n"),
            AppResets,
            SeesReset,
        ],
    ),
    exchange(
        "an upgrade that is declined; the connection goes on",
        "RFC 9110 7.8; 0ang3el, WebSocket Smuggling, 2019",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
            Answers(
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket/13\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno",
            ),
            Sees(
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket/13\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nno",
            ),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "a switch that nobody asked for",
        "RFC 9110 15.2.2",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
            SeesAtLast("HTTP/1.1 502 Bad Gateway\r\n"),
        ],
    ),
    exchange(
        "CONNECT",
        "RFC 9110 9.3.6",
        &[
            Send("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"),
            Gets("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            Sees("HTTP/1.1 200 OK\r\n\r\n"),
            Send("to the db"),
            Gets("to the db"),
            Answers("from the db"),
            Sees("from the db"),
            AppEnds,
            SeesEnd,
            Send("more"),
            Gets("more"),
            Ends,
            GetsEnd,
        ],
    ),
    exchange(
        "CONNECT that is refused; the connection goes on",
        "RFC 9110 9.3.6",
        &[
            Send("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"),
            Gets("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"),
            Answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
            Sees("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "100-continue: the body waits for the app's word",
        "RFC 9110 10.1.1",
        &[
            Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            Gets("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\ncontent-length: 4\r\n\r\n"),
            Answers("HTTP/1.1 100 Continue\r\n\r\n"),
            Sees("HTTP/1.1 100 Continue\r\n\r\n"),
            Send("body"),
            Gets("body"),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "100-continue: an app that does not want the body",
        "RFC 9110 10.1.1; Kettle 2025: the rest is no request",
        &[
            Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"),
            Gets("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\ncontent-length: 4\r\n\r\n"),
            Answers("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
            Sees("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n"),
            SeesEnd,
        ],
    ),
    exchange(
        "interim answers of several kinds",
        "RFC 9110 15.2; RFC 8297",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            Sees("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "interim answers do not reach HTTP/1.0",
        "RFC 9110 15.2",
        &[
            Send("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Sees("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"),
            SeesEnd,
        ],
    ),
    exchange(
        "HEAD: a length without a body",
        "RFC 9110 9.3.2",
        &[
            Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            Sees("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
            Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Sees("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "statuses without a body",
        "RFC 9110 15.3.5, 15.4.5",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
            Sees("HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 204 No Content\r\n\r\n"),
            Sees("HTTP/1.1 204 No Content\r\n\r\n"),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "chunks and trailers both ways",
        "RFC 9112 7.1.2",
        &[
            Send(
                "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n",
            ),
            Gets(
                "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n\r\n",
            ),
            Answers(
                "HTTP/1.1 200 OK\r\nTrailer: Y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\nY: 2\r\nweft-proxy-error: x\r\n\r\n",
            ),
            Sees("HTTP/1.1 200 OK\r\nTrailer: Y\r\ntransfer-encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\nY: 2\r\n\r\n"),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "an app of HTTP/1.0, whose answer ends with its connection",
        "RFC 9112 6.3, rule 8",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.0 200 OK\r\n\r\nuntil the end"),
            AppCloses,
            Sees("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nuntil the end"),
            SeesEnd,
        ],
    ),
    exchange(
        "a client of HTTP/1.0 gets no chunks",
        "RFC 9112 7.1",
        &[
            Send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
            Gets("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            Sees("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"),
            SeesEnd,
        ],
    ),
    exchange(
        "a client of HTTP/1.0 that wants to go on",
        "RFC 9112 9.3",
        &[
            Send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
            Gets("GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Sees("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok"),
            AppCloses,
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "an answer before the body, and the end",
        "RFC 9112 9.5",
        &[
            Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome"),
            Gets("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 1000000\r\n\r\nsome"),
            Answers("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"),
            AppEnds,
            Sees("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig"),
            SeesEnd,
        ],
    ),
    exchange(
        "an answer while the body comes",
        "RFC 9110 7.5: may be interleaved",
        &[
            Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nsome"),
            Gets("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 8\r\n\r\nsome"),
            Answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Sees("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            Send("more"),
            Gets("more"),
            Answers("0\r\n\r\n"),
            Sees("0\r\n\r\n"),
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "an answer that is cut short",
        "RFC 9112 8",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
            AppCloses,
            Sees("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
            SeesReset,
        ],
    ),
    exchange(
        "chunks that are cut short",
        "RFC 9112 8",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            AppCloses,
            Sees("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            SeesReset,
        ],
    ),
    exchange(
        "an answer with two lengths",
        "RFC 9112 6.3, rule 5: discarded, 502",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            ),
            SeesAtLast("HTTP/1.1 502 Bad Gateway\r\n"),
        ],
    ),
    exchange(
        "an answer with a length and chunks",
        "RFC 9112 6.3, rule 3",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            SeesAtLast("HTTP/1.1 502 Bad Gateway\r\n"),
        ],
    ),
    exchange(
        "an answer and another that nobody asked for",
        "RFC 9112 9.2: not taken for the next one's",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
            Sees("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            GetsEnd,
            Send(NEXT[0]),
            Gets(NEXT[1]),
            Answers(NEXT[2]),
            Sees(NEXT[3]),
        ],
    ),
    exchange(
        "Weft's own fields in an answer",
        "docs/mesh-transport.md, Lines",
        &[
            Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Gets("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Answers(
                "HTTP/1.1 200 OK\r\nweft-proxy-error: no-route\r\nWeft_X: 1\r\nConnection: X, keep-alive\r\nX: 1\r\nContent-Length: 0\r\n\r\n",
            ),
            Sees("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ],
    ),
];

#[test]
fn an_exchange_through_the_outbound_side_is_what_both_ends_say() {
    every_exchange(Side::Outbound);
}

#[test]
fn an_exchange_through_the_inbound_side_is_what_both_ends_say() {
    every_exchange(Side::Inbound);
}

fn every_exchange(side: Side) {
    run(async || {
        let proxy = Rc::new(Proxy::new());
        let one = |exchange| {
            let proxy = proxy.clone();
            async move { play(&proxy, side, exchange).await }
        };
        each(EXCHANGES.iter(), |exchange| exchange.name, one).await;
    });
}

async fn play(proxy: &Proxy, side: Side, exchange: &Exchange) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = proxy.client(side, listener.local_addr().unwrap(), AppProtocol::Http1).await;
    let mut app: Option<TcpStream> = None;
    for (index, step) in exchange.steps.iter().enumerate() {
        let at = format!("{} ({}), step {index}", exchange.name, exchange.source);
        match step {
            Send(text) => client.write_all(text.as_bytes()).await.unwrap(),
            Gets(text) => {
                if app.is_none() {
                    app = Some(listener.accept().await.unwrap().0);
                }
                expect(app.as_mut().unwrap(), text, &at).await;
            }
            Answers(text) => app.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap(),
            Sees(text) => expect(&mut client, text, &at).await,
            SeesAtLast(text) => {
                let mut seen = Vec::new();
                let _ = client.read_to_end(&mut seen).await;
                assert!(seen.starts_with(text.as_bytes()), "{at}: {}", String::from_utf8_lossy(&seen));
            }
            Ends => client.shutdown().await.unwrap(),
            GetsEnd => {
                assert_eq!(app.as_mut().unwrap().read(&mut [0]).await.unwrap(), 0, "{at}");
                if !exchange.steps[index..].iter().any(|step| matches!(step, AppEnds)) {
                    app = None;
                }
            }
            AppEnds => app.as_mut().unwrap().shutdown().await.unwrap(),
            AppCloses => app = None,
            AppResets => weft_proxy::tcp::reset_on_close(&app.take().unwrap()),
            SeesEnd => assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "{at}"),
            SeesReset => assert!(client.read(&mut [0]).await.is_err(), "{at}"),
        }
    }
}

/// Reads just as many bytes as are wanted.
async fn expect(io: &mut TcpStream, wanted: &str, at: &str) {
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        let mut piece = vec![0; wanted.len() - got.len()];
        let read = io.read(&mut piece).await.unwrap_or(0);
        assert!(read > 0, "{at}: ended after {:?}", String::from_utf8_lossy(&got));
        got.extend_from_slice(&piece[..read]);
        assert!(wanted.as_bytes().starts_with(&got), "{at}: {:?} is not {wanted:?}", String::from_utf8_lossy(&got));
    }
}
