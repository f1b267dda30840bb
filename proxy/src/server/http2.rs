//! A server that speaks HTTP/2 in the clear: one connection per worker carries all requests, by the h2 crate.
//!
//! It is not pinged: gRPC servers send clients away that ping more often than every five minutes (gRFC A8,
//! `too_many_pings`). A machine that is gone is found by the kernel ([`Liveness`](crate::socket::Liveness)).

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    task::Poll,
};

use ::http::Request;
use bytes::Bytes;
use h2::{
    Ping, RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
    ext::Protocol,
};
use tokio::{sync::watch, task::spawn_local};

use super::{Delivery, refusal};
use crate::{
    buffer::Buf,
    endpoint::connect,
    http::{self as message, Framing, Version},
    http1::AnswerTo,
    http2,
    mesh::{Event, Received, Refusal, ResetCause, Stream},
    relay::{Failure, Http2Body, Http2Progress, given_up, send_received, with_beside},
    worker::Worker,
};

/// What a server may send ahead on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Connections that are tried for one request: the one that is there may be about to end, a fresh one is not.
const MOST_CONNECTIONS: usize = 2;

/// A connection that is there or under way.
pub struct Http2Server {
    state: RefCell<State>,
    /// What the server can do is known: its SETTINGS have come, or nothing more does.
    settled: Cell<bool>,
    changed: watch::Sender<()>,
    /// Held by each request that is on it, or waits for it.
    in_use: Rc<()>,
}

enum State {
    Connecting,
    Ready(SendRequest<Bytes>),
    Failed(Refusal),
}

pub(super) fn deliver(worker: &Rc<Worker>, delivery: Delivery) {
    let worker = worker.clone();
    spawn_local(async move {
        let timer = worker.timers.timer();
        let limit = delivery.remaining();
        let serve = serve(&worker, &delivery);
        match limit {
            None => serve.await,
            Some(limit) => {
                if timer.within(limit, serve).await.is_none() {
                    delivery.stream.reset(ResetCause::Deadline);
                }
            }
        }
    });
}

async fn serve(worker: &Rc<Worker>, delivery: &Delivery) {
    let result = receive(worker, delivery).await;
    delivery.over();
    if let Err(failure) = result {
        tell(&delivery.stream, &failure);
    }
}

async fn receive(worker: &Rc<Worker>, delivery: &Delivery) -> Result<(), Failure> {
    let mut received = delivery.stream.received().await?;
    let Some(Event::Head { payload, end, .. }) = received.next() else { return Err(Failure::Framing) };
    delivery.access.head(payload);
    let head = Head::read(delivery, payload, end)?;
    delivery.handed();
    if !end {
        return exchange(worker, delivery, head, Some(received)).await;
    }
    match exchange(worker, delivery, head, None).await {
        // It was above the last that a GOAWAY names, so the server has not processed it (RFC 9113 section 6.8): a server
        // that ends a connection after so many requests is no failure. The other connection is a fresh one.
        Err(Failure::Http2(error)) if is_gone_away(&error) && !delivery.stream.is_accepted() => {
            exchange(worker, delivery, Head::read(delivery, payload, end)?, None).await
        }
        result => result,
    }
}

/// A request's head.
struct Head {
    /// For the server.
    request: Request<()>,
    /// What its answer depends on.
    answer_to: AnswerTo,
    /// What it says of its body.
    framing: Framing,
}

impl Head {
    fn read(delivery: &Delivery, payload: &[u8], end: bool) -> Result<Self, Failure> {
        let head = message::RequestHead::read(payload)?;
        let (is_head, is_connect) = (head.method() == b"HEAD", head.is_connect());
        let framing = if is_connect { Framing::UntilClose } else { head.framing() };
        if end && !framing.may_end() {
            return Err(Failure::Framing);
        }
        let (fields, count) = delivery.added_fields();
        let request = http2::head_to_request(payload, &fields[..count])?;
        let answer_to = AnswerTo { version: Version::Http2, is_head, is_connect, upgrade: is_connect };
        Ok(Self { request, answer_to, framing })
    }
}

/// A connection that takes another stream.
struct Ready {
    server: Rc<Http2Server>,
    send: SendRequest<Bytes>,
    /// Keeps it from counting as idle.
    _in_use: Rc<()>,
}

async fn ready(worker: &Rc<Worker>, delivery: &Delivery) -> Result<Ready, Refusal> {
    for _ in 0..MOST_CONNECTIONS {
        let server = connection(worker, delivery);
        let in_use = server.in_use.clone();
        // The server's limit on streams is waited for here; a connection that ends meanwhile has seen nothing of this one.
        if let Ok(send) = established(&server).await?.ready().await {
            return Ok(Ready { server, send, _in_use: in_use });
        }
        // It is over, or finishes its last streams after a GOAWAY: this one, and those that follow, need another.
        worker.servers.forget_http2(delivery.address, &server);
    }
    Err(Refusal::NotDelivered)
}

/// Tells the stream's other end why there is no whole answer.
fn tell(stream: &Stream, failure: &Failure) {
    match failure {
        Failure::Stream(_) => {}
        // RFC 9113 section 8.7: a refused stream, and one above GOAWAY's last, was not processed.
        Failure::Http2(error) if is_not_processed(error) && !stream.is_accepted() => {
            stream.refuse(Refusal::NotDelivered);
        }
        Failure::Http2(_) | Failure::Gone(_) => stream.reset(ResetCause::AppClosed),
        Failure::Head(message::HeadError::Response(_)) => stream.reset(ResetCause::AppProtocol),
        Failure::Head(_) | Failure::Chunk(_) | Failure::Trailers(_) | Failure::Framing | Failure::Status(_) => {
            stream.reset(ResetCause::Protocol);
        }
    }
}

fn is_not_processed(error: &h2::Error) -> bool {
    error.reason() == Some(h2::Reason::REFUSED_STREAM) || is_gone_away(error)
}

fn is_gone_away(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote()
}

/// The worker's connection to the server, made if there is none.
fn connection(worker: &Rc<Worker>, delivery: &Delivery) -> Rc<Http2Server> {
    let known = worker.servers.http2.borrow().get(&delivery.address).cloned();
    known.unwrap_or_else(|| open(worker, delivery))
}

async fn established(server: &Http2Server) -> Result<SendRequest<Bytes>, Refusal> {
    let mut changed = server.changed.subscribe();
    loop {
        match &*server.state.borrow() {
            State::Connecting => {}
            State::Ready(send) => return Ok(send.clone()),
            State::Failed(refusal) => return Err(*refusal),
        }
        if changed.changed().await.is_err() {
            return Err(Refusal::AppRefused);
        }
    }
}

/// Waits until the server's SETTINGS are known.
async fn settled(server: &Http2Server) {
    let mut changed = server.changed.subscribe();
    while !server.settled.get() && changed.changed().await.is_ok() {}
}

fn open(worker: &Rc<Worker>, delivery: &Delivery) -> Rc<Http2Server> {
    let server = Rc::new(Http2Server {
        state: RefCell::new(State::Connecting),
        settled: Cell::new(false),
        changed: watch::Sender::new(()),
        in_use: Rc::default(),
    });
    worker.servers.http2.borrow_mut().insert(delivery.address, server.clone());
    let (worker, this, limit) = (worker.clone(), server.clone(), delivery.connect_deadline);
    let address = delivery.address;
    spawn_local(async move {
        run(&worker, &this, address, limit).await;
        worker.servers.forget_http2(address, &this);
    });
    server
}

/// Connects, and drives the connection until it is over.
async fn run(worker: &Rc<Worker>, server: &Rc<Http2Server>, address: SocketAddr, limit: std::time::Duration) {
    let become_ = |state| {
        *server.state.borrow_mut() = state;
        server.changed.send_replace(());
    };
    let settled = || {
        server.settled.set(true);
        server.changed.send_replace(());
    };
    let io = match connect(address, worker.shared.config.interception.mark, limit).await {
        Ok(io) => io,
        Err(error) => return become_(State::Failed(refusal(&error))),
    };
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false)
        .handshake::<_, Bytes>(io);
    let Ok((send, connection)) = handshake.await else {
        return become_(State::Failed(Refusal::NotDelivered));
    };
    become_(State::Ready(send));
    let mut connection = pin!(connection);
    // A server's SETTINGS come before all else of it, so before the answer to a PING (RFC 9113 section 3.4).
    let mut ping = connection.ping_pong();
    if let Some(ping) = &mut ping {
        let _ = ping.send_ping(Ping::opaque());
    }
    let idle = worker.shared.config.timeouts.mesh_idle;
    let timer = worker.timers.timer();
    timer.set(idle);
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            settled();
            return Poll::Ready(());
        }
        if !server.settled.get() && ping.as_mut().is_none_or(|ping| ping.poll_pong(cx).is_ready()) {
            settled();
        }
        match timer.poll(cx) {
            Poll::Ready(()) if Rc::strong_count(&server.in_use) == 1 => Poll::Ready(()),
            Poll::Ready(()) => {
                timer.set(idle);
                timer.poll(cx)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
}

/// One request over a connection that takes it; its body, if it has one, begins with what was received.
async fn exchange(
    worker: &Rc<Worker>,
    delivery: &Delivery,
    Head { request, answer_to, mut framing }: Head,
    received: Option<Received>,
) -> Result<(), Failure> {
    let stream = &delivery.stream;
    let Ready { server, mut send, _in_use } = match ready(worker, delivery).await {
        Ok(ready) => ready,
        Err(refusal) => {
            delivery.refuse(refusal);
            return Ok(());
        }
    };
    if request.extensions().get::<Protocol>().is_some() {
        settled(&server).await;
        if !send.is_extended_connect_protocol_enabled() {
            delivery.refuse(Refusal::Unsupported);
            return Ok(());
        }
    }
    let (response, mut body) = send.send_request(request, received.is_none()).map_err(Failure::Http2)?;
    let request = pin!(async {
        if let Some(received) = received {
            // Until then the opener keeps what it has sent, and a request that a GOAWAY proves unprocessed goes another way.
            if !stream.peer_has_ended() {
                stream.accept();
            }
            send_body(stream, received, (&mut body, &mut framing)).await?;
        }
        Err(given_up(stream).await)
    });
    let answer = pin!(pass_answer(worker, delivery, response, &answer_to));
    with_beside(request, answer).await
}

async fn send_body(
    stream: &Stream,
    mut received: Received,
    (body, framing): (&mut SendStream<Bytes>, &mut Framing),
) -> Result<(), Failure> {
    loop {
        match send_received(&mut received, stream, body, framing).await {
            Ok(Http2Progress::Goes) => received = stream.received().await?,
            Ok(Http2Progress::Over(_)) => return Ok(()),
            // The server may have answered before it read everything: the answer, or its end, tells.
            Err(Failure::Http2(_)) => return std::future::pending().await,
            Err(failure) => return Err(failure),
        }
    }
}

async fn pass_answer(
    worker: &Rc<Worker>,
    delivery: &Delivery,
    mut response: ResponseFuture,
    answer_to: &AnswerTo,
) -> Result<(), Failure> {
    let stream = &delivery.stream;
    let mut informational = true;
    let response = poll_fn(|cx| {
        while informational {
            match response.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => {
                    let mut payload = Buf::default();
                    let read = http2::response_to_head(&interim, false, answer_to, &worker.limits, payload.vec());
                    match read {
                        Ok(_) => stream.interim_head(payload.filled()),
                        Err(error) => return Poll::Ready(Err(Failure::Head(error))),
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Failure::Http2(error))),
                Poll::Ready(None) => informational = false,
                Poll::Pending => break,
            }
        }
        std::pin::Pin::new(&mut response).poll(cx).map_err(Failure::Http2)
    })
    .await?;
    pass_body(worker, delivery, response, answer_to).await
}

async fn pass_body(
    worker: &Rc<Worker>,
    delivery: &Delivery,
    response: http::Response<RecvStream>,
    answer_to: &AnswerTo,
) -> Result<(), Failure> {
    let stream = &delivery.stream;
    let (parts, body) = response.into_parts();
    let end = body.is_end_stream();
    let head = http::Response::from_parts(parts, ());
    let mut payload = Buf::default();
    http2::response_to_head(&head, end, answer_to, &worker.limits, payload.vec())?;
    let status = head.status().as_u16();
    let grpc_status = head.headers().get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    delivery.answered(worker, status, grpc_status);
    stream.head(payload.filled(), end);
    if end {
        return Ok(());
    }
    let mut body = Http2Body::new(body, None);
    let never = std::cell::Cell::new(false);
    body.send(stream, &never).await?;
    if let Some(grpc_status) = message::grpc_status(body.trailers()) {
        delivery.answered(worker, status, Some(grpc_status));
    }
    Ok(())
}
