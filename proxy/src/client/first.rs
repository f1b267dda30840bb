//! Who speaks first, and what: detection with a server that is dialled when the client stays silent.
//!
//! A client of HTTP speaks at once. When nothing has come within `WEFT_DETECT_DEADLINE`, the server is dialled; the first
//! to speak decides. An HTTP/2 server's SETTINGS do not count as speaking: it sends them before it has heard anything.

use std::{pin::pin, rc::Rc};

use crate::{
    call::{self, Connected},
    detect::{self, Detected},
    error::Reason,
    mesh::{Event, Protocol, Stream},
    origin::Origin,
    relay::{AppConn, Reader},
    timers::Timer,
    worker::Worker,
};

/// How a connection begins.
pub enum First {
    /// The client's first bytes, which are still to be read.
    Said(Detected),
    /// The server spoke first: the bytes on this stream are the connection's.
    ServerSpoke(Connected),
    /// The client is gone, or never spoke before this proxy went away.
    Gone,
    /// The client waits for a server that cannot be reached.
    Unreachable(Reason),
}

/// Finds out. What the client said stays in the connection's buffer.
pub async fn words(worker: &Rc<Worker>, origin: &Origin, conn: &mut AppConn) -> First {
    let timer = worker.timers.timer();
    let (mut rd, _) = conn.split();
    match timer.within(worker.shared.config.timeouts.detect, rd.fill()).await {
        Some(Ok(())) => first_word(worker, &mut rd, &timer).await,
        Some(Err(_)) => First::Gone,
        None => tokio::select! {
            biased;
            first = ask_the_server(worker, origin, &mut rd, &timer) => first,
            () = worker.shared.drain.leaving() => First::Gone,
        },
    }
}

/// The client has begun to speak: what is it? A word that it does not finish in time is not of HTTP; whoever is to
/// understand it may be waited for by the client, so it is not kept here.
async fn first_word(worker: &Rc<Worker>, rd: &mut Reader<'_>, timer: &Timer) -> First {
    let word = async {
        loop {
            match detect::detect(rd.buf.filled()) {
                Detected::More => {}
                said => return said,
            }
            if rd.fill().await.is_err() {
                // Half-closed after a few bytes: they are to be delivered all the same.
                return Detected::Opaque;
            }
        }
    };
    First::Said(timer.within(worker.shared.config.timeouts.detect, word).await.unwrap_or(Detected::Opaque))
}

async fn ask_the_server(worker: &Rc<Worker>, origin: &Origin, rd: &mut Reader<'_>, timer: &Timer) -> First {
    let connected = match call::connect(worker, origin, Protocol::Undecided).await {
        Ok(connected) => connected,
        // The client may yet speak HTTP, and then gets an answer that says why. If it waits for the server, it would wait
        // for ever.
        Err(reason) => {
            return match timer.within(worker.shared.config.timeouts.head, rd.fill()).await {
                Some(Ok(())) => first_word(worker, rd, timer).await,
                Some(Err(_)) => First::Gone,
                None => First::Unreachable(reason),
            };
        }
    };
    let spoke = {
        let server = pin!(server_words(&connected.stream));
        let client = pin!(async {
            match rd.fill().await {
                Ok(()) => first_word(worker, rd, timer).await,
                Err(_) => First::Gone,
            }
        });
        tokio::select! {
            biased;
            first = client => Some(first),
            () = server => None,
        }
    };
    match spoke {
        None | Some(First::Said(Detected::Opaque | Detected::Tls)) => First::ServerSpoke(connected),
        Some(first) => first,
    }
}

/// Over when the server has said something that is not the beginning of HTTP/2, or has ended.
async fn server_words(stream: &Stream) {
    // Nobody there, or it closed at once: the opaque relay passes that on.
    let Ok(mut received) = stream.received().await else { return };
    let silent = matches!(received.peek(), Some(Event::Data { bytes, .. }) if is_http2_settings(bytes));
    stream.put_back(received);
    if silent {
        // It has nothing more to say before the client does.
        std::future::pending::<()>().await;
    }
}

/// Whether bytes begin with a SETTINGS frame (RFC 9113 section 3.4: the server's first).
fn is_http2_settings(bytes: &[u8]) -> bool {
    matches!(bytes, [0, _, length, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0)
}
