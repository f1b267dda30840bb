//! What the access log and taps say of one request or connection: gathered while it goes on, told when it is over.
//!
//! Whom it is told: `telemetry/observers.rs`. While nobody wants to know, nothing is gathered.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    address::{ClientAddr, OrigDst},
    balance::Endpoint,
    error::Reason,
    http::RequestHead,
    mesh::Protocol,
    telemetry::{Direction, Entry, Observers, TraceContext},
};

/// Both ends of a connection, as its client sees them.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Who connected.
    pub client: ClientAddr,
    /// Where to.
    pub orig_dst: OrigDst,
}

/// What there is to tell of one request or connection; told when this is dropped. Does nothing while nobody wants to know.
#[derive(Default)]
pub struct Access(RefCell<Option<Box<Gathered>>>);

struct Gathered {
    observers: Observers,
    began: SystemTime,
    started: Instant,
    direction: Direction,
    caller: Caller,
    protocol: &'static str,
    service: String,
    route: String,
    method: String,
    path: String,
    identity: Option<String>,
    endpoint: Option<crate::address::EndpointAddr>,
    status: u16,
    grpc_status: Option<u8>,
    received: u64,
    sent: u64,
    error: Option<&'static str>,
    trace: Option<TraceContext>,
}

impl Access {
    /// Begins to gather, if anybody wants to know. `service` is a Service's namespace and name.
    pub fn new(
        observers: &Observers,
        (direction, caller): (Direction, Caller),
        (namespace, name): (&str, &str),
        protocol: Protocol,
    ) -> Self {
        if !observers.any() {
            return Self::default();
        }
        let gathered = Gathered {
            observers: observers.clone(),
            began: SystemTime::now(),
            started: Instant::now(),
            direction,
            caller,
            protocol: match protocol {
                Protocol::Http1 => "HTTP/1.1",
                Protocol::Http2 => "HTTP/2.0",
                Protocol::Opaque | Protocol::Undecided => "TCP",
            },
            service: if name.is_empty() { String::new() } else { format!("{namespace}/{name}") },
            route: String::new(),
            method: String::new(),
            path: String::new(),
            identity: None,
            endpoint: None,
            status: 0,
            grpc_status: None,
            received: 0,
            sent: 0,
            error: None,
            trace: None,
        };
        Self(RefCell::new(Some(Box::new(gathered))))
    }

    fn with(&self, gather: impl FnOnce(&mut Gathered)) {
        if let Some(gathered) = &mut *self.0.borrow_mut() {
            gather(gathered);
        }
    }

    /// The request's head.
    pub fn request(&self, head: &RequestHead<'_>) {
        self.with(|gathered| {
            gathered.method = String::from_utf8_lossy(head.method()).into_owned();
            gathered.path = String::from_utf8_lossy(head.path()).into_owned();
            if gathered.observers.traces.are_on() {
                gathered.trace = gathered.observers.traces.wanted(head.field(b"traceparent"));
            }
        });
    }

    /// The request's head, as it crosses the mesh.
    pub fn head(&self, payload: &[u8]) {
        if self.0.borrow().is_some()
            && let Ok(head) = RequestHead::read(payload)
        {
            self.request(&head);
        }
    }

    /// The rule that matched.
    pub fn route(&self, name: &str) {
        self.with(|gathered| name.clone_into(&mut gathered.route));
    }

    /// Where it goes; the last one stays.
    pub fn endpoint(&self, endpoint: &Endpoint) {
        self.with(|gathered| {
            gathered.endpoint = Some(endpoint.addr);
            gathered.identity = endpoint.identity.as_ref().map(ToString::to_string);
        });
    }

    /// Who the other side proved to be.
    pub fn identity(&self, identity: Option<&weft_certs::SpiffeId>) {
        self.with(|gathered| gathered.identity = identity.map(ToString::to_string));
    }

    /// What the client is answered.
    pub fn status(&self, status: u16, grpc_status: Option<u8>) {
        self.with(|gathered| (gathered.status, gathered.grpc_status) = (status, grpc_status));
    }

    /// The proxy itself ended it.
    pub fn failed(&self, reason: Reason) {
        self.with(|gathered| {
            gathered.error = Some(reason.label());
            if gathered.protocol != "TCP" {
                gathered.status = reason.status();
            }
        });
    }

    /// Bytes from the client.
    pub fn received(&self, bytes: u64) {
        self.with(|gathered| gathered.received += bytes);
    }

    /// Bytes to the client.
    pub fn sent(&self, bytes: u64) {
        self.with(|gathered| gathered.sent += bytes);
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let elapsed: Duration = self.started.elapsed();
        self.observers.record(&Entry {
            began: self.began,
            elapsed,
            direction: self.direction,
            client: self.caller.client,
            orig_dst: self.caller.orig_dst,
            endpoint: self.endpoint,
            service: &self.service,
            route: &self.route,
            protocol: self.protocol,
            method: &self.method,
            path: &self.path,
            status: self.status,
            grpc_status: self.grpc_status,
            received: self.received,
            sent: self.sent,
            identity: self.identity.as_deref(),
            error: self.error,
            trace: self.trace,
        });
    }
}
