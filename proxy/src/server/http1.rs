//! A server that speaks HTTP/1.1: a task per connection, each serving one request after the other.
//!
//! A request is handed to an idle connection's task; a task is spawned only if there is none. A connection that turns
//! out to be closed before a byte of the request was written is replaced by a fresh one. One that was closed before a
//! byte of it had arrived refuses it as not delivered, which is a proof for the retry step: servers close idle
//! connections when they like, also at the moment at which a request is on its way. Any other end proves nothing.

use std::{cell::Cell, future::poll_fn, io, pin::pin, rc::Rc, task::Poll};

use tokio::task::spawn_local;

use super::{Delivery, pool::Seat, refusal};
use crate::{
    access::Access,
    buffer::Buf,
    endpoint::connect,
    http1::{self, AnswerTo, ResponseInfo},
    mesh::{Refusal, ResetCause, Stream},
    relay::{
        AppConn, Failure, HeadVerdict, OutgoingBody, Reader, Received, Writer, given_up, given_up_early, receive,
        with_beside,
    },
    tcp,
    timers::Timer,
    worker::Worker,
};

pub(super) fn deliver(worker: &Rc<Worker>, delivery: Delivery) {
    match worker.servers.take(delivery.address) {
        Some(seat) => seat.hand(delivery),
        None => drop(spawn_local(connection(worker.clone(), delivery))),
    }
}

/// What follows a request on its connection.
enum Next {
    Another,
    Close,
    Switched,
}

/// A connection, from its first request to its end.
async fn connection(worker: Rc<Worker>, first: Delivery) {
    let (address, mark) = (first.address, worker.shared.config.interception.mark);
    first.handed();
    let io = match connect(address, mark, first.connect_deadline).await {
        Ok(io) => io,
        Err(error) => return first.refuse(refusal(&error)),
    };
    let mut conn = AppConn::new(io);
    let (mut rd, mut wr) = conn.split();
    let timer = worker.timers.timer();
    let seat = Rc::new(Seat::default());
    let mut delivery = first;
    loop {
        match serve(&worker, (&mut rd, &mut wr), &delivery, &timer).await {
            Next::Another => drop(delivery),
            Next::Close => return,
            Next::Switched => {
                let uncounted = tcp::Counters { connection: None, access: Access::default() };
                let end = tcp::relay((&mut rd, &mut wr), &delivery.stream, &timer, worker.silence(), &uncounted);
                if end.await == tcp::End::PeerReset {
                    tcp::reset_on_close(conn.socket());
                }
                return;
            }
        }
        worker.servers.put(address, &seat);
        let idle = worker.shared.config.timeouts.app_idle;
        match timer.within(idle, next(&seat, &mut rd)).await {
            Some(Some(handed)) => delivery = handed,
            Some(None) | None => break,
        }
    }
    if let Some(handed) = worker.servers.remove(address, &seat) {
        deliver(&worker, handed);
    }
}

/// The next request. None: the server closed the connection, or spoke out of turn.
async fn next(seat: &Seat, rd: &mut Reader<'_>) -> Option<Delivery> {
    poll_fn(|cx| {
        if rd.poll_fill(cx).is_ready() {
            return Poll::Ready(None);
        }
        seat.poll_take(cx).map_or(Poll::Pending, |delivery| Poll::Ready(Some(delivery)))
    })
    .await
}

/// One request, within what is left of its caller's time. Tells the stream when it does not work out.
async fn serve(
    worker: &Rc<Worker>,
    (rd, wr): (&mut Reader<'_>, &mut Writer<'_>),
    delivery: &Delivery,
    timer: &Timer,
) -> Next {
    let progress = Progress::default();
    let mark = wr.written();
    let exchange = exchange(worker, rd, wr, delivery, &progress);
    let result = match delivery.remaining() {
        None => exchange.await,
        Some(limit) => match timer.within(limit, exchange).await {
            Some(result) => result,
            None => {
                delivery.stream.reset(ResetCause::Deadline);
                return Next::Close;
            }
        },
    };
    delivery.over();
    match result {
        Ok(next) => next,
        Err(Failure::Gone(end)) if end.kind() == io::ErrorKind::UnexpectedEof && wr.nothing_arrived_since(mark) => {
            came_too_late(delivery);
            Next::Close
        }
        Err(failure) => {
            tell(&delivery.stream, &failure, &progress);
            Next::Close
        }
    }
}

/// The server had closed the connection before anything of the request was there.
fn came_too_late(delivery: &Delivery) {
    match delivery.stream.is_accepted() {
        // The opener has let go of what it sent.
        true => delivery.stream.reset(ResetCause::AppClosed),
        false => delivery.refuse(Refusal::NotDelivered),
    }
}

/// How far an exchange has come.
#[derive(Default)]
struct Progress {
    /// The request's head was composed, so some of it may have reached the server.
    begun: Cell<bool>,
    /// All of the request was written.
    written: Cell<bool>,
    /// What the answer depends on.
    answer_to: Cell<Option<AnswerTo>>,
    /// The failure is in what the server sent.
    answering: Cell<bool>,
}

/// Tells the stream's other end why there is no whole answer.
fn tell(stream: &Stream, failure: &Failure, progress: &Progress) {
    match failure {
        Failure::Stream(_) => {}
        Failure::Gone(_) | Failure::Http2(_) => stream.reset(ResetCause::AppClosed),
        Failure::Head(_) | Failure::Chunk(_) | Failure::Trailers(_) | Failure::Framing | Failure::Status(_)
            if progress.answering.get() =>
        {
            stream.reset(ResetCause::AppProtocol);
        }
        Failure::Head(_) if !progress.begun.get() => stream.refuse(Refusal::Protocol),
        Failure::Head(_) | Failure::Chunk(_) | Failure::Trailers(_) | Failure::Framing | Failure::Status(_) => {
            stream.reset(ResetCause::Protocol);
        }
    }
}

async fn exchange(
    worker: &Rc<Worker>,
    rd: &mut Reader<'_>,
    wr: &mut Writer<'_>,
    delivery: &Delivery,
    progress: &Progress,
) -> Result<Next, Failure> {
    let request = pin!(async {
        match send_request(wr, delivery, progress).await {
            // The server may have answered before it read everything: the answer, or its end, tells.
            Err(Failure::Gone(_)) => std::future::pending().await,
            sent => sent,
        }
    });
    let answer = pin!(async {
        let answer = read_answer(worker, rd, delivery, progress).await;
        progress.answering.set(answer.is_err());
        answer
    });
    match with_beside(request, answer).await? {
        Next::Another if !progress.written.get() => Ok(Next::Close),
        next => Ok(next),
    }
}

async fn send_request(wr: &mut Writer<'_>, delivery: &Delivery, progress: &Progress) -> Result<(), Failure> {
    if !delivery.stream.peer_has_ended() {
        delivery.stream.accept();
    }
    let (fields, count) = delivery.added_fields();
    let received = receive(&delivery.stream, wr, |payload, out| {
        delivery.access.head(payload);
        delivery.handed();
        let written = http1::write_request(payload, &fields[..count], out)?;
        progress.begun.set(true);
        progress.answer_to.set(Some(written.answer_to));
        let upgrade = written.answer_to.upgrade || written.answer_to.is_connect;
        Ok(if upgrade { HeadVerdict::Switched } else { HeadVerdict::Body(written.framing) })
    })
    .await?;
    progress.written.set(true);
    Err(match received {
        Received::Whole => given_up(&delivery.stream).await,
        Received::Switched => given_up_early(&delivery.stream).await,
    })
}

async fn read_answer(
    worker: &Rc<Worker>,
    rd: &mut Reader<'_>,
    delivery: &Delivery,
    progress: &Progress,
) -> Result<Next, Failure> {
    let stream = &delivery.stream;
    let info = loop {
        let mut payload = Buf::default();
        let (info, answer_to) = read_head(worker, rd, progress, &mut payload).await?;
        if info.interim {
            stream.interim_head(payload.filled());
            continue;
        }
        delivery.answered(worker, info.status, None);
        let whole = !info.switched && (answer_to.is_head || !info.framing.has_body());
        stream.head(payload.filled(), whole);
        if info.switched {
            return Ok(Next::Switched);
        }
        if whole {
            break info;
        }
        let never = Cell::new(false);
        OutgoingBody::new(info.framing, &worker.limits, None, &never).send(rd, stream).await?;
        break info;
    };
    Ok(if info.keep_alive && rd.buf.is_empty() { Next::Another } else { Next::Close })
}

async fn read_head(
    worker: &Rc<Worker>,
    rd: &mut Reader<'_>,
    progress: &Progress,
    payload: &mut Buf,
) -> Result<(ResponseInfo, AnswerTo), Failure> {
    loop {
        if !rd.buf.is_empty()
            && let Some(answer_to) = progress.answer_to.get()
        {
            if let Some(info) = http1::read_response(rd.buf.filled(), &answer_to, &worker.limits, payload.vec())? {
                rd.buf.consume(info.used);
                return Ok((info, answer_to));
            }
            payload.clear();
        }
        rd.fill().await?;
    }
}
