//! Delivers streams to servers: to the app beside this proxy, or to an endpoint that is not meshed.
//!
//! A stream says what it carries; whether it may be served at all was decided by who hands it over (`inbound.rs`). What
//! becomes of it is told to the stream itself: refused while nothing has reached the server, reset after that.

mod http1;
mod http2;
mod opaque;
mod pool;
mod record;

use std::{net::SocketAddr, rc::Rc, time::Duration};

pub use pool::Servers;
pub use record::Record;

use tokio::time::Instant;
use weft_certs::SpiffeId;

use crate::{
    access::Access,
    endpoint::ConnectError,
    limit::Permit,
    mesh::{Incoming, Protocol, Refusal, Stream},
    retry,
    telemetry::OpenConnection,
    worker::Worker,
};

/// A stream on its way to a server.
pub struct Delivery {
    /// What is delivered.
    pub stream: Stream,
    /// Where to.
    pub address: SocketAddr,
    /// As what.
    pub protocol: Protocol,
    /// When the caller no longer waits. None: there is no limit.
    pub deadline: Option<Instant>,
    /// The request is a second try: whoever it reaches is told.
    pub retried: bool,
    /// The client's verified identity; the server is told it.
    pub client: Option<SpiffeId>,
    /// Who counts it.
    pub counted: Counted,
    /// Its line in the access log, unless it is logged where it came from.
    pub access: Access,
    /// Its place among those in flight, if there is a cap.
    pub permit: Option<Permit>,
    /// How long the server may take to accept a connection.
    pub connect_deadline: Duration,
}

/// Who counts a delivery.
pub enum Counted {
    /// It is counted where it came from.
    Elsewhere,
    /// As an HTTP request.
    Request(Record),
    /// As a connection of bytes.
    Connection(OpenConnection),
}

impl Delivery {
    /// A delivery that is counted elsewhere, for a client that the server is not told.
    pub fn of(incoming: Incoming, address: SocketAddr, connect_deadline: Duration) -> Self {
        let Incoming { open, stream } = incoming;
        Self {
            stream,
            address,
            protocol: open.protocol,
            deadline: open.deadline.map(|left| Instant::now() + left),
            retried: open.retried,
            client: None,
            counted: Counted::Elsewhere,
            access: Access::default(),
            permit: None,
            connect_deadline,
        }
    }

    /// What is left of the caller's time. None: there is no limit.
    fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Fields that this proxy adds to the request: so many of the array.
    fn added_fields(&self) -> ([(&'static str, &[u8]); 2], usize) {
        let mut fields: [(&'static str, &[u8]); 2] = [("", b""); 2];
        let mut count = 0;
        if let Some(client) = &self.client {
            fields[count] = ("weft-client-identity", client.as_str().as_bytes());
            count += 1;
        }
        if self.retried {
            fields[count] = ("tracestate", retry::MARK);
            count += 1;
        }
        (fields, count)
    }

    /// Nothing reached the server.
    fn refuse(&self, refusal: Refusal) {
        self.access.failed(refusal.reason());
        self.stream.refuse(refusal);
    }

    /// From here on it is the server that is waited for.
    fn handed(&self) {
        if let Some(record) = self.record() {
            record.handed();
        }
    }

    /// The head of the answer has come.
    fn answered(&self, worker: &Worker, status: u16, grpc_status: Option<u8>) {
        self.access.status(status, grpc_status);
        if let Some(record) = self.record() {
            record.answered(&worker.shares, self.client.is_some());
            record.status(status);
            record.grpc_status(grpc_status);
        }
    }

    /// It is over, however it ended.
    fn over(&self) {
        let (received, sent) = self.stream.carried();
        self.access.received(received);
        self.access.sent(sent);
    }

    fn record(&self) -> Option<&Record> {
        match &self.counted {
            Counted::Request(record) => Some(record),
            Counted::Elsewhere | Counted::Connection(_) => None,
        }
    }
}

/// Takes a stream to its server. Returns at once; the rest happens in tasks of this worker.
pub fn deliver(worker: &Rc<Worker>, delivery: Delivery) {
    match delivery.protocol {
        Protocol::Http1 => http1::deliver(worker, delivery),
        Protocol::Http2 => http2::deliver(worker, delivery),
        Protocol::Opaque | Protocol::Undecided => opaque::deliver(worker, delivery),
    }
}

/// What a client is told when its server does not take a connection.
fn refusal(error: &ConnectError) -> Refusal {
    match error {
        ConnectError::Deadline { .. } => Refusal::AppTimeout,
        ConnectError::Refused { .. } => Refusal::AppRefused,
        ConnectError::Local { .. } => Refusal::Overloaded,
    }
}
