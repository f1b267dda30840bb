//! A client that speaks HTTP/1.x: its requests one after the other, each on a stream of its own.
//!
//! Reads top to bottom as the path of one request: read the head, find the route, try, answer.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use crate::{
    access::{Access, Caller},
    buffer::Buf,
    call::{Attempt, Call},
    error::Reason,
    http::{self, RequestHead, Version},
    http1::{self, AnswerTo, RequestInfo, WriteResponse},
    origin::Origin,
    relay::{AppConn, Failure, HeadVerdict, OutgoingBody, Reader, Received, Writer, receive, with_beside},
    retry::Outcome,
    tcp,
    timers::{Timer, Timers},
    worker::Worker,
};

/// How long a client may take to read the last answer and to close its side.
const LINGER: Duration = Duration::from_secs(1);

/// What the requests of one client share.
struct Client<'a> {
    worker: &'a Rc<Worker>,
    origin: &'a Origin,
    caller: Caller,
    timer: Timer,
    try_timer: Timer,
}

/// A request's head, as it crosses the mesh.
struct Head {
    payload: Buf,
    info: RequestInfo,
}

/// What a client wants next.
enum Wish {
    Request(Head),
    /// Nothing for too long, or this proxy is going away.
    Nothing,
    /// Nothing more: it has closed the connection.
    Gone,
}

/// What follows a request on its connection.
enum Next {
    Another,
    Close,
    /// The client has closed it, and has had all of its answers.
    Gone,
    /// The answer was cut short: the client must not take it for whole.
    Abort,
    /// The connection has switched protocols and belongs to this try's stream.
    Switched(Attempt),
}

/// Why a try has no whole answer.
enum Broken {
    /// The answer is one that the route wants tried again, after a pause.
    Again(Duration),
    /// The client is gone.
    ClientGone,
    Reason(Reason),
}

impl Broken {
    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Again(_) | Self::ClientGone => None,
            Self::Reason(reason) => Some(*reason),
        }
    }
}

impl From<Reason> for Broken {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

/// Serves the connection until it is over.
pub async fn serve(worker: &Rc<Worker>, (origin, caller): (&Origin, Caller), conn: &mut AppConn) {
    let client = Client { worker, origin, caller, timer: worker.timers.timer(), try_timer: worker.timers.timer() };
    let mut drained = pin!(worker.shared.drain.leaving());
    let (mut rd, mut wr) = conn.split();
    loop {
        match one_request(&client, &mut rd, &mut wr, drained.as_mut()).await {
            Next::Another => {}
            Next::Close => return linger(&client, &mut rd, &mut wr).await,
            Next::Gone => return,
            Next::Abort => return tcp::reset_on_close(conn.socket()),
            Next::Switched(attempt) => {
                let uncounted = tcp::Counters { connection: None, access: Access::default() };
                let end = tcp::relay((&mut rd, &mut wr), &attempt.stream, &client.timer, worker.silence(), &uncounted);
                if end.await == tcp::End::PeerReset {
                    tcp::reset_on_close(conn.socket());
                }
                return;
            }
        }
    }
}

async fn one_request(
    client: &Client<'_>,
    rd: &mut Reader<'_>,
    wr: &mut Writer<'_>,
    drained: Pin<&mut impl Future<Output = ()>>,
) -> Next {
    let head = match read_head(client, rd, drained).await {
        Ok(Wish::Request(head)) => head,
        Ok(Wish::Nothing) => return Next::Close,
        Ok(Wish::Gone) => return Next::Gone,
        Err(reason) => return refuse(client, wr, reason, None),
    };
    let view = match RequestHead::read(head.payload.filled()) {
        Ok(view) => view,
        Err(error) => return refuse(client, wr, error.reason(), None),
    };
    let mut call = match Call::begin(client.worker, (client.origin, client.caller), &view) {
        Ok(call) => call,
        Err(reason) => return refuse(client, wr, reason, Some(&view)),
    };
    let begun = Cell::new(false);
    let result = match call.remaining() {
        None => tries(client, (&mut *rd, &mut *wr), &head, &mut call, &begun).await,
        Some(limit) => {
            let tries = tries(client, (&mut *rd, &mut *wr), &head, &mut call, &begun);
            client.timer.within(limit, tries).await.unwrap_or(Err(Reason::RequestTimeout.into()))
        }
    };
    match result {
        Ok(next) => next,
        Err(Broken::Again(_) | Broken::ClientGone) => Next::Abort,
        Err(Broken::Reason(reason)) => {
            call.failed(reason);
            if begun.get() {
                client.worker.count_error(client.origin, reason);
                return Next::Abort;
            }
            refuse(client, wr, reason, Some(&view))
        }
    }
}

/// Waits for the next request, and reads its head.
///
/// # Errors
/// It is none, or does not come whole in time.
async fn read_head(
    client: &Client<'_>,
    rd: &mut Reader<'_>,
    mut drained: Pin<&mut impl Future<Output = ()>>,
) -> Result<Wish, Reason> {
    let timeouts = &client.worker.shared.config.timeouts;
    if rd.buf.is_empty() {
        let first = poll_fn(|cx| match rd.poll_fill(cx) {
            Poll::Ready(filled) => Poll::Ready(Some(filled)),
            Poll::Pending => drained.as_mut().poll(cx).map(|()| None),
        });
        match client.timer.within(timeouts.client_idle, first).await.flatten() {
            Some(Ok(())) => {}
            Some(Err(_)) => return Ok(Wish::Gone),
            None => return Ok(Wish::Nothing),
        }
    }
    let mut payload = Buf::default();
    let mut waits = false;
    loop {
        let limits = &client.worker.limits;
        match http1::read_request(rd.buf.filled(), limits, payload.vec()).map_err(|error| error.reason())? {
            Some(info) => {
                rd.buf.consume(info.used);
                return Ok(Wish::Request(Head { payload, info }));
            }
            None => payload.clear(),
        }
        if !waits {
            // For the whole head: bytes that come one at a time do not lengthen it.
            client.timer.set(timeouts.head);
            waits = true;
        }
        let more = poll_fn(|cx| match rd.poll_fill(cx) {
            Poll::Ready(filled) => Poll::Ready(Some(filled)),
            Poll::Pending => client.timer.poll(cx).map(|()| None),
        });
        match more.await {
            Some(Ok(())) => {}
            Some(Err(_)) => return Ok(Wish::Gone),
            None => return Err(Reason::HeadTimeout),
        }
    }
}

/// Tries until there is an answer, or no other try is safe and allowed.
async fn tries(
    client: &Client<'_>,
    (rd, wr): (&mut Reader<'_>, &mut Writer<'_>),
    head: &Head,
    call: &mut Call<'_>,
    begun: &Cell<bool>,
) -> Result<Next, Broken> {
    let replayable = Cell::new(true);
    let replay = head.info.framing.has_body().then(|| call.replay());
    let mut body = OutgoingBody::new(head.info.framing, &client.worker.limits, replay, &replayable);
    loop {
        let broken = match call.open().await {
            Err(reason) => Broken::Reason(reason),
            Ok(attempt) => {
                let run = exchange(client, (&mut *rd, &mut *wr), head, (call, &attempt), (&mut body, begun));
                let result = match call.try_limit() {
                    None => run.await,
                    Some(limit) => client.try_timer.within(limit, run).await.unwrap_or(Err(Reason::TryTimeout.into())),
                };
                match result {
                    Ok(Over::Whole { another }) => {
                        call.finish(&attempt, None);
                        return Ok(if another { Next::Another } else { Next::Close });
                    }
                    Ok(Over::Switched) => {
                        call.finish(&attempt, None);
                        return Ok(Next::Switched(attempt));
                    }
                    Err(broken) => call.gave_up(&attempt, broken.reason()).map_or(broken, Broken::Reason),
                }
            }
        };
        let after = match broken {
            Broken::Again(after) => after,
            Broken::Reason(reason) if !begun.get() => {
                call.decide(Outcome::Failed(reason.verdict()), replayable.get()).ok_or(broken)?
            }
            Broken::ClientGone | Broken::Reason(_) => return Err(broken),
        };
        Timers::sleep(client.worker.timers.clone(), after).await;
    }
}

/// How an exchange that worked out has ended.
enum Over {
    Whole { another: bool },
    Switched,
}

/// One try: the request goes to the stream while the answer comes from it.
async fn exchange(
    client: &Client<'_>,
    (rd, wr): (&mut Reader<'_>, &mut Writer<'_>),
    head: &Head,
    (call, attempt): (&Call<'_>, &Attempt),
    (body, begun): (&mut OutgoingBody<'_>, &Cell<bool>),
) -> Result<Over, Broken> {
    let has_body = head.info.framing.has_body();
    let (sent, keep, after) = (Cell::new(false), Cell::new(false), Cell::new(None));
    let replayable = body.replayable();
    let how = WriteResponse {
        answer_to: head.info.answer_to(),
        close: !head.info.keep_alive || client.worker.shared.drain.is_draining(),
        from_peer_proxy: attempt.is_meshed(),
    };
    // What a switch brings goes over the same half of the stream.
    attempt.stream.head(head.payload.filled(), !has_body && !head.info.upgrade);
    let request = pin!(async {
        if has_body {
            match body.send(rd, &attempt.stream).await {
                // The stream tells its fate once what came before has been taken from it.
                Err(Failure::Stream(_)) => return std::future::pending().await,
                sent => sent?,
            }
        }
        sent.set(true);
        Err(Failure::Gone(rd.watch().await))
    });
    let answer = pin!(receive(&attempt.stream, wr, |payload, out| {
        let written = http1::write_response(payload, &how, out)?;
        if written.interim {
            // Another interim answer, or the final one, may follow it from anywhere: the answer has not begun.
            return Ok(HeadVerdict::Interim);
        }
        attempt.responded(written.status);
        if !begun.get()
            && let Some(pause) = call.decide(Outcome::Answered(written.status), replayable.get())
        {
            after.set(Some(pause));
            return Err(Failure::Status(written.status));
        }
        begun.set(true);
        keep.set(!written.close);
        Ok(if written.switched { HeadVerdict::Switched } else { HeadVerdict::Body(written.framing) })
    }));
    match with_beside(request, answer).await {
        Ok(Received::Whole) => Ok(Over::Whole { another: keep.get() && sent.get() }),
        Ok(Received::Switched) => Ok(Over::Switched),
        Err(failure) => Err(match (after.get(), failure.reason()) {
            (Some(after), _) => Broken::Again(after),
            (None, Some(reason)) => Broken::Reason(reason),
            (None, None) => Broken::ClientGone,
        }),
    }
}

/// Answers for this proxy itself, and says why. The connection is closed: what is left of the request was not read.
fn refuse(client: &Client<'_>, wr: &mut Writer<'_>, reason: Reason, request: Option<&RequestHead<'_>>) -> Next {
    client.worker.count_error(client.origin, reason);
    let mut payload = Buf::default();
    let grpc = request.is_some_and(RequestHead::is_grpc);
    let body = http::local_response(reason, &client.origin.describe(), grpc, payload.vec());
    let is_head = request.is_some_and(|request| request.method() == b"HEAD");
    let answer_to = AnswerTo { version: Version::Http11, is_head, is_connect: false, upgrade: false };
    let how = WriteResponse { answer_to, close: true, from_peer_proxy: true };
    if http1::write_response(payload.filled(), &how, wr.out()).is_ok() && !is_head {
        wr.out().extend_from_slice(&body);
    }
    Next::Close
}

/// Sends what is left and closes, and reads on until the client does, for a moment: a socket that is closed while it
/// holds unread bytes sends a reset, which overtakes the answer (RFC 9112 section 9.6).
async fn linger(client: &Client<'_>, rd: &mut Reader<'_>, wr: &mut Writer<'_>) {
    let farewell = async {
        if wr.finish().await.is_ok() {
            while rd.fill().await.is_ok() {
                rd.buf.clear();
            }
        }
    };
    // The client may be gone: then nobody is left to be told.
    let _ = client.timer.within(LINGER, farewell).await;
}
