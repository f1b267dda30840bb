//! A client that speaks HTTP/2: a task per connection, and one for each of its streams, by the h2 crate.
//!
//! The same path as in `http1.rs`: head, route, tries, answer.

use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, time::Duration};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    server::{Builder, SendResponse},
};
use http::{Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_local,
};

use crate::{
    access::Caller,
    buffer::Buf,
    call::{Attempt, Call},
    error::Reason,
    http::{self as message, AnswerTo, Framing, RequestHead, ResponseHead, Version},
    http2,
    mesh::Event,
    origin::Origin,
    relay::{Failure, Http2Body, Http2Progress, send_received, with_beside},
    retry::Outcome,
    timers::Timers,
    worker::Worker,
};

/// What a client may have under way at once.
const MOST_STREAMS: u32 = 1_000;
/// What a client may send ahead on one stream, and on all together.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Serves the connection until it is over; `io` begins with the preface.
pub async fn serve(worker: &Rc<Worker>, (origin, caller): (&Origin, Caller), io: impl AsyncRead + AsyncWrite + Unpin) {
    let limits = &worker.limits;
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MOST_STREAMS)
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .handshake::<_, Bytes>(io);
    let timer = worker.timers.timer();
    let Some(Ok(mut connection)) = timer.within(worker.shared.config.timeouts.head, handshake).await else {
        return worker.count_error(origin, Reason::MalformedRequest);
    };
    let mut drained = pin!(worker.shared.drain.draining());
    let mut draining = false;
    let in_use = Rc::new(());
    let idle = worker.shared.config.timeouts.client_idle;
    timer.set(idle);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut drained, if !draining => {
                draining = true;
                connection.graceful_shutdown();
                continue;
            }
            () = poll_fn(|cx| timer.poll(cx)), if !draining => {
                draining = Rc::strong_count(&in_use) == 1;
                if draining {
                    connection.graceful_shutdown();
                }
                timer.set(idle);
                continue;
            }
            accepted = connection.accept() => accepted,
        };
        let Some(Ok((request, respond))) = accepted else { return };
        let (worker, origin, in_use) = (worker.clone(), origin.clone(), in_use.clone());
        spawn_local(async move {
            one_request(&worker, (&origin, caller), request, respond).await;
            drop(in_use);
        });
    }
}

/// Why a try has no whole answer.
enum Broken {
    /// The answer is one that the route wants tried again, after a pause.
    Again(Duration),
    /// The client is gone, or no longer interested.
    ClientGone,
    Reason(Reason),
}

impl Broken {
    fn of(failure: Failure) -> Self {
        match failure {
            Failure::Http2(_) => Self::ClientGone,
            other => other.reason().map_or(Self::ClientGone, Self::Reason),
        }
    }

    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Again(_) | Self::ClientGone => None,
            Self::Reason(reason) => Some(*reason),
        }
    }
}

/// What the client sees of the answer.
struct Answer {
    to: AnswerTo,
    respond: SendResponse<Bytes>,
    /// Once the head of the answer was sent.
    body: Option<SendStream<Bytes>>,
}

async fn one_request(
    worker: &Rc<Worker>,
    (origin, caller): (&Origin, Caller),
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let is_connect = request.method() == http::Method::CONNECT;
    let is_head = request.method() == http::Method::HEAD;
    let to = AnswerTo { version: Version::Http2, is_head, is_connect, upgrade: is_connect };
    let mut answer = Answer { to, respond, body: None };
    let mut payload = Buf::default();
    let head = http2::request_to_head(&request, body.is_end_stream(), &worker.limits, payload.vec())
        .and_then(|_| RequestHead::read(payload.filled()));
    let view = match head {
        Ok(view) => view,
        Err(error) => return refuse(worker, origin, &mut answer, (error.reason(), false)),
    };
    let mut call = match Call::begin(worker, (origin, caller), &view) {
        Ok(call) => call,
        Err(reason) => return refuse(worker, origin, &mut answer, (reason, view.is_grpc())),
    };
    let has_body = !body.is_end_stream();
    let mut body = Http2Body::new(body, has_body.then(|| call.replay()));
    let timer = worker.timers.timer();
    let result = match call.remaining() {
        None => tries(worker, payload.filled(), &mut body, (&mut call, &mut answer)).await,
        Some(limit) => {
            let tries = tries(worker, payload.filled(), &mut body, (&mut call, &mut answer));
            timer.within(limit, tries).await.unwrap_or(Err(Broken::Reason(Reason::RequestTimeout)))
        }
    };
    if let Err(Broken::Reason(reason)) = result {
        call.failed(reason);
        match &mut answer.body {
            None => refuse(worker, origin, &mut answer, (reason, view.is_grpc())),
            Some(body) => {
                worker.count_error(origin, reason);
                break_off(body, reason, view.is_grpc());
            }
        }
    }
}

/// Ends an answer that has begun: a gRPC client is told in trailers, any other by a reset.
fn break_off(body: &mut SendStream<Bytes>, reason: Reason, grpc: bool) {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", u16::from(reason.grpc_status()).into());
    trailers.insert("grpc-message", http::HeaderValue::from_static(reason.label()));
    trailers.insert("weft-proxy-error", http::HeaderValue::from_static(reason.label()));
    if !grpc || body.send_trailers(trailers).is_err() {
        body.send_reset(h2::Reason::INTERNAL_ERROR);
    }
}

/// Tries until there is an answer, or no other try is safe and allowed.
async fn tries(
    worker: &Rc<Worker>,
    head: &[u8],
    body: &mut Http2Body,
    (call, answer): (&mut Call<'_>, &mut Answer),
) -> Result<(), Broken> {
    let timer = worker.timers.timer();
    loop {
        let broken = match call.open().await {
            Err(reason) => Broken::Reason(reason),
            Ok(attempt) => {
                let run = exchange(head, body, (call, &attempt), answer);
                let result = match call.try_limit() {
                    None => run.await,
                    Some(limit) => timer.within(limit, run).await.unwrap_or(Err(Broken::Reason(Reason::TryTimeout))),
                };
                match result {
                    Ok(grpc_status) => {
                        call.finish(&attempt, grpc_status);
                        return Ok(());
                    }
                    Err(broken) => call.gave_up(&attempt, broken.reason()).map_or(broken, Broken::Reason),
                }
            }
        };
        let after = match broken {
            Broken::Again(after) => after,
            Broken::Reason(reason) if answer.body.is_none() => {
                let outcome = Outcome::Failed(reason.verdict());
                call.decide(outcome, body.is_replayable()).ok_or(broken)?
            }
            Broken::ClientGone | Broken::Reason(_) => return Err(broken),
        };
        Timers::sleep(worker.timers.clone(), after).await;
    }
}

/// One try; over with the answer's gRPC status, if it has one.
async fn exchange(
    head: &[u8],
    body: &mut Http2Body,
    (call, attempt): (&Call<'_>, &Attempt),
    answer: &mut Answer,
) -> Result<Option<u8>, Broken> {
    let stream = &attempt.stream;
    let replayable = Cell::new(body.is_replayable());
    stream.head(head, body.is_over());
    let request = pin!(async {
        if !body.is_over() {
            match body.send(stream, &replayable).await {
                // The stream tells its fate once what came before has been taken from it.
                Err(Failure::Stream(_)) => return std::future::pending().await,
                sent => sent?,
            }
        }
        std::future::pending().await
    });
    let response = pin!(pass_answer(answer, (call, attempt), &replayable));
    match with_beside(request, response).await {
        Ok(Passed::Whole(grpc_status)) => Ok(grpc_status),
        Ok(Passed::Again(after)) => Err(Broken::Again(after)),
        Err(failure) => Err(Broken::of(failure)),
    }
}

/// What became of an answer.
enum Passed {
    Whole(Option<u8>),
    Again(Duration),
}

async fn pass_answer(
    answer: &mut Answer,
    (call, attempt): (&Call<'_>, &Attempt),
    replayable: &Cell<bool>,
) -> Result<Passed, Failure> {
    let stream = &attempt.stream;
    let (mut grpc_status, mut framing) = (None, Framing::None);
    loop {
        let mut received = unless_reset(answer, stream).await?;
        if answer.body.is_none() {
            let Some(Event::Head { payload, interim, end }) = received.next() else { return Err(Failure::Framing) };
            let response = http2::head_to_response(payload, attempt.is_meshed())?;
            framing = answer.to.body_of(&ResponseHead::read(payload)?);
            if end && !interim && !framing.may_end() {
                return Err(Failure::Framing);
            }
            if interim {
                answer.respond.send_informational(response).map_err(Failure::Http2)?;
                stream.put_back(received);
                continue;
            }
            let status = response.status().as_u16();
            attempt.responded(status);
            if let Some(after) = call.decide(Outcome::Answered(status), replayable.get()) {
                return Ok(Passed::Again(after));
            }
            grpc_status = grpc_status_of(&response);
            answer.body = Some(answer.respond.send_response(response, end).map_err(Failure::Http2)?);
            if end {
                return Ok(Passed::Whole(grpc_status));
            }
        }
        let Some(body) = &mut answer.body else { continue };
        if let Http2Progress::Over(trailers) = send_received(&mut received, stream, body, &mut framing).await? {
            return Ok(Passed::Whole(trailers.map_or(grpc_status, |lines| message::grpc_status(&lines))));
        }
    }
}

/// What comes from the stream, unless the client resets its own first.
async fn unless_reset(answer: &mut Answer, stream: &crate::mesh::Stream) -> Result<crate::mesh::Received, Failure> {
    let mut received = pin!(stream.received());
    poll_fn(|cx| {
        let reset = match &mut answer.body {
            None => answer.respond.poll_reset(cx),
            Some(body) => body.poll_reset(cx),
        };
        if let std::task::Poll::Ready(reset) = reset {
            let error = reset.map_or_else(|error| error, h2::Error::from);
            return std::task::Poll::Ready(Err(Failure::Http2(error)));
        }
        received.as_mut().poll(cx).map_err(Failure::Stream)
    })
    .await
}

fn grpc_status_of(response: &Response<()>) -> Option<u8> {
    response.headers().get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Answers for this proxy itself, and says why.
fn refuse(worker: &Rc<Worker>, origin: &Origin, answer: &mut Answer, (reason, grpc): (Reason, bool)) {
    worker.count_error(origin, reason);
    let mut payload = Buf::default();
    let body = message::local_response(reason, &origin.describe(), grpc, payload.vec());
    let Ok(response) = http2::head_to_response(payload.filled(), true) else { return };
    // The client may be gone: then nobody is left to be told.
    if let Ok(mut stream) = answer.respond.send_response(response, body.is_empty())
        && !body.is_empty()
    {
        let _ = stream.send_data(body.into(), true);
    }
}
