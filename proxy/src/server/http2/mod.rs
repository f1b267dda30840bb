//! A server that speaks HTTP/2 in the clear: one connection per worker carries all requests, by the h2 crate.
//!
//! It is not pinged: gRPC servers send clients away that ping more often than every five minutes (gRFC A8,
//! `too_many_pings`). A machine that is gone is found by the kernel ([`Liveness`](crate::socket::Liveness)).

mod connection;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

use ::http::Request;
use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture, ext::Protocol};
use tokio::task::spawn_local;

pub use self::connection::Http2Server;
use self::connection::{Ready, ready};
use super::Delivery;
use crate::{
    buffer::Buf,
    http::{self as message, Framing, Version},
    http1::AnswerTo,
    http2,
    mesh::{Event, Received, Refusal, ResetCause, Stream},
    relay::{Failure, Http2Body, Http2Progress, given_up, send_received, with_beside},
    worker::Worker,
};

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
        server.settled().await;
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
