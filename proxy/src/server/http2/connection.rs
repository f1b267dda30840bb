//! The worker's connections to servers that speak HTTP/2: one for each, shared by all requests to it.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    task::Poll,
};

use bytes::Bytes;
use h2::{
    Ping,
    client::{Builder, SendRequest},
};
use tokio::{sync::watch, task::spawn_local};

use crate::{
    endpoint::connect,
    mesh::Refusal,
    server::{Delivery, refusal},
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

/// A connection that takes another stream.
pub(super) struct Ready {
    pub(super) server: Rc<Http2Server>,
    pub(super) send: SendRequest<Bytes>,
    /// Keeps it from counting as idle.
    pub(super) _in_use: Rc<()>,
}

/// A connection to the delivery's server that takes another stream.
///
/// # Errors
/// There is none.
pub(super) async fn ready(worker: &Rc<Worker>, delivery: &Delivery) -> Result<Ready, Refusal> {
    for _ in 0..MOST_CONNECTIONS {
        let server = connection(worker, delivery);
        let in_use = server.in_use.clone();
        // The server's limit on streams is waited for here; a connection that ends meanwhile has seen nothing of this one.
        if let Ok(send) = server.established().await?.ready().await {
            return Ok(Ready { server, send, _in_use: in_use });
        }
        // It is over, or finishes its last streams after a GOAWAY: this one, and those that follow, need another.
        worker.servers.forget_http2(delivery.address, &server);
    }
    Err(Refusal::NotDelivered)
}

impl Http2Server {
    /// Waits until it is connected.
    async fn established(&self) -> Result<SendRequest<Bytes>, Refusal> {
        let mut changed = self.changed.subscribe();
        loop {
            match &*self.state.borrow() {
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
    pub(super) async fn settled(&self) {
        let mut changed = self.changed.subscribe();
        while !self.settled.get() && changed.changed().await.is_ok() {}
    }
}

/// The worker's connection to the server, made if there is none.
fn connection(worker: &Rc<Worker>, delivery: &Delivery) -> Rc<Http2Server> {
    let known = worker.servers.http2.borrow().get(&delivery.address).cloned();
    known.unwrap_or_else(|| open(worker, delivery))
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
