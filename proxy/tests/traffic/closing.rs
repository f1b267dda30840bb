//! A server that closes an idle connection at the moment at which a request is on its way.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
};
use weft_api::AppProtocol;

use super::fixture::{Proxy, Side, run};

const FIRST: &[u8] = b"POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
const SECOND: &[u8] = b"POST /second HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\ndef";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[test]
fn a_post_that_finds_its_connection_closed_is_delivered_over_another() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let proxy = Proxy::new();
            let mut client = proxy.client(side, listener.local_addr().unwrap(), AppProtocol::Http1).await;

            client.write_all(FIRST).await.unwrap();
            let (mut app, _) = listener.accept().await.unwrap();
            answer(&mut app, "/first").await;
            assert_answered(&mut client).await;

            // All on this thread: the turn that brings the request to the proxy wakes this task first. It closes, and the
            // task of the idle connection, which writes in the same turn, cannot learn of it before the next one.
            let (sign, mut seen) = signs().await;
            let closing = spawn_local(async move {
                seen.read_u8().await.unwrap();
                drop(app);
            });
            tokio::task::yield_now().await;
            assert_eq!(sign.try_write(b"!").unwrap(), 1);
            assert_eq!(client.try_write(SECOND).unwrap(), SECOND.len());
            closing.await.unwrap();

            let delivered = async {
                let (mut app, _) = listener.accept().await.unwrap();
                answer(&mut app, "/second").await;
            };
            tokio::select! {
                () = delivered => assert_answered(&mut client).await,
                () = assert_answered(&mut client) => panic!("{side:?}: answered by nobody"),
            }
        });
    }
}

/// Two ends of a connection.
async fn signs() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// Reads a POST for this path, and answers it.
async fn answer(app: &mut TcpStream, path: &str) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") || !request.ends_with(b"abc") && !request.ends_with(b"def")
    {
        assert_ne!(app.read_buf(&mut request).await.unwrap(), 0, "the request was cut short");
    }
    assert!(request.starts_with(format!("POST {path} HTTP/1.1\r\n").as_bytes()), "{}", request.escape_ascii());
    app.write_all(ANSWER).await.unwrap();
}

async fn assert_answered(client: &mut TcpStream) {
    let mut seen = Vec::new();
    while seen.len() < ANSWER.len() && client.read_buf(&mut seen).await.unwrap() > 0 {}
    assert_eq!(seen, ANSWER, "{}", seen.escape_ascii());
}
