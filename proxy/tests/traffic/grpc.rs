//! gRPC with messages of 4 MiB, the most that its libraries take by default, and those who do not read them. Both ends are
//! the h2 crate's.

use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
    server::{self, SendResponse},
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::{net::TcpListener, task::spawn_local, time::timeout};
use weft_api::AppProtocol;

use super::{
    fixture::{PATIENCE, Proxy, Side, eventually, run},
    flow::settled,
};

const MESSAGE: usize = 4 << 20;
/// What windows of HTTP/2, sockets' buffers and the proxy may hold of what nobody reads.
const MOST_AHEAD: u64 = 32 << 20;

#[test]
fn a_message_of_4_mib_crosses_both_ways() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let app = App::start().await;
            let mut client = app.client(side).await;
            let message = message();
            let (answer, mut body) = call(&mut client, "/echo").await;
            let sent = message.clone();
            // Beside the reading: the server answers as it reads.
            spawn_local(async move { send(&mut body, sent, true, &Cell::new(0)).await });
            let mut answer = answer.await.unwrap().into_body();
            let mut seen = BytesMut::new();
            while let Some(data) = answer.data().await {
                let data = data.unwrap();
                answer.flow_control().release_capacity(data.len()).unwrap();
                seen.put(data);
            }
            assert!(seen == message, "{side:?}: {} bytes came back of {}", seen.len(), message.len());
            assert_eq!(answer.trailers().await.unwrap().unwrap()["grpc-status"], "0", "{side:?}");
        });
    }
}

#[test]
fn a_client_that_reads_slowly_holds_its_server_up_and_no_other_call() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let app = App::start().await;
            let mut client = app.client(side).await;
            let (answer, _body) = call(&mut client, "/flood").await;
            let mut answer = answer.await.unwrap().into_body();
            let ahead = settled(&app.sent).await;
            assert!(ahead < MOST_AHEAD, "{side:?}: {ahead} bytes are ahead of the client");
            assert_answered(&mut app.client(side).await).await;
            read(&mut answer, MESSAGE).await;
            eventually("more is sent", || app.sent.get() > ahead).await;
        });
    }
}

#[test]
fn a_server_that_reads_slowly_holds_its_client_up_and_no_other_call() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let app = App::start().await;
            let mut client = app.client(side).await;
            let (_answer, mut body) = call(&mut client, "/ignore").await;
            let sent = Rc::new(Cell::new(0));
            let counted = sent.clone();
            spawn_local(async move { while send(&mut body, message(), false, &counted).await {} });
            let ahead = settled(&sent).await;
            assert!(ahead < MOST_AHEAD, "{side:?}: {ahead} bytes are ahead of the server");
            assert_answered(&mut app.client(side).await).await;
            app.reads.set(true);
            eventually("more is sent", || sent.get() > ahead + MESSAGE as u64).await;
        });
    }
}

#[test]
fn a_call_that_its_server_breaks_off_at_the_deadline_has_exceeded_it() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let app = App::start().await;
            let mut client = app.client(side).await;
            let request = Request::builder().method(Method::POST).uri("http://a/late").header("te", "trailers");
            let request = request.header("content-type", "application/grpc").header("grpc-timeout", LATE);
            let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
            assert_eq!(answer.await.unwrap().headers()["grpc-status"], "4", "{side:?}");
        });
    }
}

/// A deadline, and longer by less than the two ticks that a timer of the proxy may be late.
const LATE: &str = "50m";
const TOO_LATE: Duration = Duration::from_millis(51);

/// A server behind a proxy: `/echo` gives back what it gets, `/flood` sends without end, `/ignore` reads once it is told to,
/// `/late` breaks off after the deadline.
struct App {
    proxy: Proxy,
    address: SocketAddr,
    /// Bytes of floods that windows have taken.
    sent: Rc<Cell<u64>>,
    reads: Rc<Cell<bool>>,
}

impl App {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Self { proxy: Proxy::new(), address, sent: Rc::default(), reads: Rc::default() };
        let (sent, reads) = (app.sent.clone(), app.reads.clone());
        spawn_local(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                let (sent, reads) = (sent.clone(), reads.clone());
                spawn_local(async move {
                    // What one call leaves unread is to leave room for the others, as grpc-go does.
                    let mut builder = server::Builder::new();
                    let handshake = builder.initial_connection_window_size(64 << 20).handshake(io);
                    let mut connection = handshake.await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        spawn_local(serve(request, respond, sent.clone(), reads.clone()));
                    }
                });
            }
        });
        app
    }

    /// Another client, over a connection of its own.
    async fn client(&self, side: Side) -> SendRequest<Bytes> {
        let io = self.proxy.client(side, self.address, AppProtocol::Http2).await;
        let (client, connection) = h2::client::handshake(io).await.unwrap();
        spawn_local(async move { drop(connection.await) });
        client
    }
}

async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sent: Rc<Cell<u64>>,
    reads: Rc<Cell<bool>>,
) {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    if path == "/late" {
        // Nobody else has a turn meanwhile: the reset is there after the deadline, and before a timer of the proxy.
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < TOO_LATE {}
        return respond.send_reset(h2::Reason::CANCEL);
    }
    if path == "/ignore" {
        eventually_without_limit(|| reads.get()).await;
        read(&mut body, usize::MAX).await;
    }
    let mut answer = respond.send_response(Response::new(()), false).unwrap();
    if path == "/flood" {
        while send(&mut answer, message(), false, &sent).await {}
        return;
    }
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        send(&mut answer, data, false, &Cell::new(0)).await;
    }
    let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    answer.send_trailers(status).unwrap();
}

/// A request that every proxy takes for gRPC.
async fn call(client: &mut SendRequest<Bytes>, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
    *client = client.clone().ready().await.unwrap();
    let request = Request::builder().method(Method::POST).uri(format!("http://a{path}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
    client.send_request(request, false).unwrap()
}

/// A small call works, whatever the others do.
async fn assert_answered(client: &mut SendRequest<Bytes>) {
    for number in 0..20 {
        let (answer, mut body) = call(client, "/echo").await;
        let answered = timeout(PATIENCE, async {
            send(&mut body, Bytes::from_static(&[0, 0, 0, 0, 0]), true, &Cell::new(0)).await;
            read(&mut answer.await.unwrap().into_body(), 5).await;
        });
        assert!(answered.await.is_ok(), "call {number} waits for one that is not read");
    }
}

/// A message with its prefix: not compressed, and how long it is.
fn message() -> Bytes {
    let mut message = BytesMut::with_capacity(5 + MESSAGE);
    message.put_u8(0);
    message.put_u32(MESSAGE as u32);
    message.extend((0..MESSAGE).map(|at| (at % 251) as u8));
    message.freeze()
}

/// Sends bytes as the window takes them; false: nobody wants them.
async fn send(body: &mut SendStream<Bytes>, mut bytes: Bytes, end: bool, sent: &Cell<u64>) -> bool {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len().min(64 << 10));
        let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return false };
        let piece = bytes.split_to(room.min(bytes.len()));
        sent.set(sent.get() + piece.len() as u64);
        if body.send_data(piece, end && bytes.is_empty()).is_err() {
            return false;
        }
    }
    true
}

/// Reads at least so many bytes, or up to the end.
async fn read(body: &mut RecvStream, count: usize) {
    let mut seen = 0;
    while seen < count {
        let Some(Ok(data)) = body.data().await else { return };
        body.flow_control().release_capacity(data.len()).unwrap();
        seen += data.len();
    }
}

async fn eventually_without_limit(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
