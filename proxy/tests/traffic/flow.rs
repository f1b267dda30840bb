//! Bodies of any size in constant memory, and clients that do not read.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::{sleep, timeout},
};
use weft_api::AppProtocol;

use super::fixture::{PATIENCE, Proxy, Side, run};

const MIB: u64 = 1 << 20;
/// What all of this process may grow by while a body goes through it: other tests run beside this one.
const MOST_GROWTH: u64 = 128 * MIB;
/// What both sockets' buffers and the proxy's windows may take of a body that nobody reads.
const MOST_AHEAD: u64 = 32 * MIB;

#[test]
fn a_body_of_a_gigabyte_takes_no_memory_of_that_size() {
    bodies(1 << 30);
}

#[test]
#[ignore = "takes minutes: run it by name"]
fn a_body_of_ten_gigabytes_takes_no_memory_of_that_size() {
    bodies(10 << 30);
}

fn bodies(size: u64) {
    run(async || {
        let (proxy, app) = (Proxy::new(), Bulk::start().await);
        let before = resident();
        let mut client = proxy.client(Side::Outbound, app.address, AppProtocol::Http1).await;
        // Up.
        let head = format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        pump(&mut client, size, &Cell::new(0)).await;
        assert_eq!(answer(&mut client).await, format!("{size}"));
        let up = resident();
        // Down.
        client.write_all(format!("GET /down/{size} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        head_of(&mut client).await;
        drain(&mut client, size).await;
        let down = resident();
        assert!(up < before + MOST_GROWTH && down < before + MOST_GROWTH, "{before}, {up}, {down} bytes");
    });
}

#[test]
fn a_client_that_does_not_read_holds_its_server_up() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let (proxy, app) = (Proxy::new(), Bulk::start().await);
            let mut client = proxy.client(side, app.address, AppProtocol::Http1).await;
            client.write_all(b"GET /down/1000000000000 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let sent = settled(&app.sent).await;
            assert!(sent < MOST_AHEAD, "{sent} bytes are ahead of the client");
            // Once it reads, more comes.
            drain(&mut client, 4 * MIB).await;
            eventually_more(&app.sent, sent).await;
        });
    }
}

#[test]
fn a_server_that_does_not_read_holds_its_client_up() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let (proxy, listener) = (Proxy::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
            let mut client = proxy.client(side, listener.local_addr().unwrap(), AppProtocol::Http1).await;
            let sent = Rc::new(Cell::new(0));
            let counted = sent.clone();
            spawn_local(async move {
                let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000\r\n";
                client.write_all(head).await.unwrap();
                pump(&mut client, 1 << 40, &counted).await;
            });
            let (mut app, _) = listener.accept().await.unwrap();
            let ahead = settled(&sent).await;
            assert!(ahead < MOST_AHEAD, "{ahead} bytes are ahead of the server");
            drain(&mut app, 4 * MIB).await;
            eventually_more(&sent, ahead).await;
        });
    }
}

#[test]
fn stalled_downloads_leave_other_requests_alone() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let (proxy, app) = (Proxy::new(), Bulk::start().await);
            let mut stalled = Vec::new();
            for _ in 0..STALLED {
                let mut client = proxy.client(side, app.address, AppProtocol::Http1).await;
                client.write_all(b"GET /down/1000000000000 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                stalled.push(client);
            }
            settled(&app.sent).await;
            let mut client = proxy.client(side, app.address, AppProtocol::Http1).await;
            for request in 0..100 {
                client.write_all(b"GET /down/100000 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                let served = timeout(PATIENCE, async {
                    head_of(&mut client).await;
                    drain(&mut client, 100_000).await;
                });
                assert!(served.await.is_ok(), "{side:?}: request {request} waits for stalled downloads");
            }
        });
    }
}

/// Three times as many as fill what a connection between proxies may hold at first.
const STALLED: usize = 100;

/// An app for bodies: `/up` says how much came, `/down/N` sends N bytes.
struct Bulk {
    address: SocketAddr,
    /// Bytes of bodies that were handed to sockets.
    sent: Rc<Cell<u64>>,
}

impl Bulk {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bulk = Self { address: listener.local_addr().unwrap(), sent: Rc::default() };
        let sent = bulk.sent.clone();
        spawn_local(async move {
            while let Ok((io, _)) = listener.accept().await {
                spawn_local(serve(io, sent.clone()));
            }
        });
        bulk
    }
}

async fn serve(mut io: TcpStream, sent: Rc<Cell<u64>>) {
    loop {
        let head = head_of(&mut io).await;
        let Some(target) = head.split(' ').nth(1) else { return };
        if let Some(size) = target.strip_prefix("/down/").and_then(|size| size.parse().ok()) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            if io.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            pump(&mut io, size, &sent).await;
        } else {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: u64 = length.unwrap().parse().unwrap();
            drain(&mut io, length).await;
            let text = length.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            io.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

/// Sends so many bytes, as far as they are taken.
async fn pump(io: &mut TcpStream, size: u64, sent: &Cell<u64>) {
    let piece = [b'x'; 64 << 10];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left.min(piece.len() as u64)).unwrap();
        let Ok(written) = io.write(&piece[..most]).await else { return };
        left -= written as u64;
        sent.set(sent.get() + written as u64);
    }
}

/// Reads so many bytes.
async fn drain(io: &mut TcpStream, size: u64) {
    let mut piece = vec![0; 64 << 10];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left.min(piece.len() as u64)).unwrap();
        let read = io.read(&mut piece[..most]).await.unwrap();
        assert!(read > 0, "ended {left} bytes before its time");
        left -= read as u64;
    }
}

/// A head, read byte by byte so that nothing of what follows is.
async fn head_of(io: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn answer(io: &mut TcpStream) -> String {
    let head = head_of(io).await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    io.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

/// Waits until a count no longer grows, and gives it.
pub async fn settled(count: &Cell<u64>) -> u64 {
    let (mut last, mut same) = (0, 0);
    while same < 10 || last == 0 {
        sleep(Duration::from_millis(50)).await;
        same = if count.get() == last { same + 1 } else { 0 };
        last = count.get();
    }
    last
}

async fn eventually_more(count: &Cell<u64>, than: u64) {
    super::fixture::eventually("more is sent", || count.get() > than).await;
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
