//! One request over all its tries: the steps of the outbound path that HTTP/1.x and HTTP/2 clients share.
//!
//! [`Call::begin`] finds the route and the time limits, [`Call::open`] chooses an endpoint and a stream for a try,
//! [`Call::decide`] says whether another try is safe and allowed, [`Call::finish`] counts. Who moves a try's bytes is
//! `client/`.

mod connection;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

pub use connection::{Connected, connect};

use tokio::time::Instant;

use crate::{
    access::{Access, Caller},
    balance::Lease,
    error::{Reason, Verdict},
    http::{RequestHead, Version, grpc_timeout},
    limit::Permit,
    mesh::{self, Open, Stream},
    origin::Origin,
    policy::{Backend, DestinationPolicy},
    retry::{self, Budget, Decision, Outcome, Replay, Stop, Traits},
    route::{Found, Rule},
    telemetry::{DestinationSeries, EjectionCause, HttpSeries, RetryOutcome},
    timeout::{self, Deadline},
    worker::Worker,
};

/// A request on its way. Dropped before it was finished, it counts as given up by its client.
pub struct Call<'a> {
    worker: &'a Rc<Worker>,
    origin: &'a Origin,
    rule: Option<Arc<Rule>>,
    protocol: mesh::Protocol,
    traits: Traits,
    started: Instant,
    deadline: Deadline,
    try_limit: Option<Duration>,
    tries: u32,
    /// Endpoints that earlier tries went to, and how long they were waited for.
    tried: Vec<u64>,
    waited: Duration,
    series: Option<Arc<HttpSeries>>,
    destination: Option<Arc<DestinationSeries>>,
    counted: Cell<bool>,
    access: Access,
    _permit: Permit,
}

/// One try: a stream, and the lease on the endpoint that it leads to.
pub struct Attempt {
    /// Where the request goes.
    pub stream: Stream,
    lease: RefCell<Option<Lease>>,
    status: Cell<u16>,
    meshed: bool,
}

impl Attempt {
    /// The head of the answer is there.
    pub fn responded(&self, status: u16) {
        self.status.set(status);
        if let Some(lease) = &mut *self.lease.borrow_mut() {
            lease.responded();
        }
    }

    /// Whether the other end of the stream is another proxy.
    pub fn is_meshed(&self) -> bool {
        self.meshed
    }
}

impl<'a> Call<'a> {
    /// Finds the route of a request and its time limits, and takes a place among those in flight.
    ///
    /// # Errors
    /// [`Reason::Overloaded`], [`Reason::NoRoute`].
    pub fn begin(
        worker: &'a Rc<Worker>,
        (origin, caller): (&'a Origin, Caller),
        head: &RequestHead<'_>,
    ) -> Result<Self, Reason> {
        let access = worker.access(origin, caller, protocol(head));
        access.request(head);
        let mut call = Self::route(worker, origin, head).inspect_err(|reason| access.failed(*reason))?;
        access.route(call.rule.as_deref().map_or("", |rule| &rule.name));
        call.access = access;
        Ok(call)
    }

    fn route(worker: &'a Rc<Worker>, origin: &'a Origin, head: &RequestHead<'_>) -> Result<Self, Reason> {
        let permit = worker.shared.in_flight.acquire().ok_or(Reason::Overloaded)?;
        let (rule, budget) = match origin {
            Origin::Service(policy) => (rule(policy, head)?, Some(&policy.budget)),
            Origin::Pod(pod) => (None, Some(&pod.budget)),
            Origin::App(_) => (None, None),
            Origin::Nowhere(nowhere) => return Err(nowhere.reason),
        };
        if let Some(budget) = budget {
            budget.deposit();
        }
        let started = Instant::now();
        // Over HTTP/2 a tunnel is a stream's request and answer: a limit for these would end it. (Over HTTP/1.1 it follows them.)
        let timed = rule.as_deref().filter(|_| !(head.is_connect() && head.version() == Version::Http2));
        let limits = timeout::Limits {
            request: timed.and_then(|rule| rule.request_timeout),
            backend_request: timed.and_then(|rule| rule.backend_request_timeout),
            grpc: head.field(b"grpc-timeout").and_then(grpc_timeout),
            propagated: None,
        };
        Ok(Self {
            worker,
            origin,
            destination: worker.destination(origin),
            protocol: protocol(head),
            traits: traits(head),
            started,
            deadline: Deadline::new(started, &limits),
            try_limit: limits.backend_request,
            rule,
            tries: 0,
            tried: Vec::new(),
            waited: Duration::ZERO,
            series: None,
            counted: Cell::new(false),
            access: Access::default(),
            _permit: permit,
        })
    }

    /// What is left of the request's time. None: there is no limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.at().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// What one try may take. None: there is no limit.
    pub fn try_limit(&self) -> Option<Duration> {
        self.try_limit
    }

    /// Room for what another try would have to send again.
    pub fn replay(&self) -> Replay {
        Replay::new()
    }

    /// Chooses an endpoint and opens a stream to it. Waits for an endpoint if there is none, at most `WEFT_QUEUE_WAIT`.
    ///
    /// # Errors
    /// Why there is no stream. Nothing was sent then.
    pub async fn open(&mut self) -> Result<Attempt, Reason> {
        self.tries += 1;
        let open = Open {
            target_port: 0,
            protocol: self.protocol,
            deadline: self.deadline.remaining(Instant::now()),
            retried: self.tries > 1,
            target: None,
            trace: None,
        };
        let backend = match self.origin {
            Origin::App(app) => {
                let stream = self.worker.open_to_app(app, open)?;
                return Ok(Attempt { stream, lease: RefCell::new(None), status: Cell::new(0), meshed: false });
            }
            Origin::Pod(pod) => pod.backend.clone(),
            Origin::Service(policy) => self.backend(policy)?,
            Origin::Nowhere(nowhere) => return Err(nowhere.reason),
        };
        let mut lease = self.worker.pick(&backend, &self.tried, self.destination.as_deref()).await?;
        let endpoint = lease.endpoint();
        self.access.endpoint(endpoint);
        self.series = Some(self.worker.series(self.origin, self.rule.as_deref(), endpoint, self.protocol));
        let meshed = endpoint.identity.is_some();
        let stream = self.worker.open_to_endpoint(&mut lease, open)?;
        Ok(Attempt { stream, lease: RefCell::new(Some(lease)), status: Cell::new(0), meshed })
    }

    fn backend(&self, policy: &DestinationPolicy) -> Result<Arc<Backend>, Reason> {
        match &self.rule {
            None => Ok(policy.backend.clone()),
            Some(rule) => rule.split.pick().cloned().ok_or(Reason::NoBackend),
        }
    }

    /// Whether, and after which pause, the request is tried again. A yes has been paid from the budget.
    pub fn decide(&self, outcome: Outcome, replayable: bool) -> Option<Duration> {
        let Some(budget) = self.budget() else { return self.decide_at_app(outcome, replayable) };
        let asked = self.rule.as_ref().and_then(|rule| rule.retry.as_ref());
        let refused = match retry::may_retry(outcome, self.traits, asked, self.tries) {
            Decision::Stop(Stop::Final) => return None,
            Decision::Stop(Stop::NotIdempotent | Stop::NotAsked) => RetryOutcome::RefusedUnsafe,
            Decision::Stop(Stop::Attempts) => RetryOutcome::RefusedAttempts,
            Decision::Stop(Stop::Marked) => RetryOutcome::RefusedMarked,
            Decision::Retry { .. } if !replayable => RetryOutcome::RefusedBody,
            Decision::Retry { after } if self.remaining().is_some_and(|left| left <= after) => {
                RetryOutcome::RefusedDeadline
            }
            Decision::Retry { .. } if !budget.withdraw() => RetryOutcome::RefusedBudget,
            Decision::Retry { after } => {
                self.count_retry(RetryOutcome::Done);
                return Some(after);
            }
        };
        self.count_retry(refused);
        None
    }

    /// A client outside of the mesh has nobody who tries again for it. What provably did not reach the app, because a
    /// connection that it closed at that moment was to carry it, is tried once more, at once.
    fn decide_at_app(&self, outcome: Outcome, replayable: bool) -> Option<Duration> {
        let never_delivered = outcome == Outcome::Failed(Verdict::NeverDelivered);
        let again = never_delivered && replayable && self.tries == 1 && matches!(self.origin, Origin::App(_));
        again.then_some(Duration::ZERO)
    }

    fn budget(&self) -> Option<&Budget> {
        match self.origin {
            Origin::Service(policy) => Some(&policy.budget),
            Origin::Pod(pod) => Some(&pod.budget),
            Origin::App(_) | Origin::Nowhere(_) => None,
        }
    }

    fn count_ejection(&self, cause: EjectionCause) {
        if let Some(destination) = &self.destination {
            destination.ejected(cause);
        }
    }

    fn count_retry(&self, outcome: RetryOutcome) {
        if let Some(destination) = &self.destination {
            destination.retry(outcome);
        }
    }

    /// A try has come to nothing; without a reason it was the client, or the answer, that ended it. Gives the reason that
    /// the request fails for.
    ///
    /// Once the request's time is up, that is the reason, whoever noticed first: a gRPC server knows of the deadline as
    /// well, and its reset may come before this proxy's own timer.
    pub fn gave_up(&mut self, attempt: &Attempt, reason: Option<Reason>) -> Option<Reason> {
        let is_late = self.remaining().is_some_and(|left| left.is_zero());
        let reason = reason.map(|reason| if is_late { Reason::RequestTimeout } else { reason });
        self.carried(attempt);
        let Some(mut lease) = attempt.lease.borrow_mut().take() else { return reason };
        self.tried.push(lease.endpoint().id);
        let ejected = match reason {
            Some(reason) => judge(&mut lease, reason),
            // An answer that is tried again speaks against its endpoint as much as one that is passed on.
            None if is_failure(attempt.status.get(), None) => lease.failure(),
            None => None,
        };
        self.waited += lease.waited();
        if let Some(cause) = ejected {
            self.count_ejection(cause);
        }
        reason
    }

    /// The answer has been passed on whole.
    pub fn finish(&self, attempt: &Attempt, grpc_status: Option<u8>) {
        let status = attempt.status.get();
        self.carried(attempt);
        if let Some(lease) = &mut *attempt.lease.borrow_mut() {
            if !is_failure(status, grpc_status) {
                lease.success();
            } else if let Some(cause) = lease.failure() {
                self.count_ejection(cause);
            }
            self.share(attempt, lease);
        }
        self.count(status, grpc_status);
    }

    /// The request has failed for a reason of the mesh's own; the client gets, or got, no whole answer.
    pub fn failed(&self, reason: Reason) {
        let grpc = (self.protocol == mesh::Protocol::Http2).then(|| reason.grpc_status());
        self.access.failed(reason);
        self.count(reason.status(), grpc);
    }

    fn carried(&self, attempt: &Attempt) {
        let (sent, received) = attempt.stream.carried();
        self.access.received(received);
        self.access.sent(sent);
    }

    /// Counts how much of the time until the answer's head was the endpoint's, and how much this proxy's.
    fn share(&self, attempt: &Attempt, lease: &Lease) {
        let before = lease.started().saturating_duration_since(self.started);
        let (proxy, peer) = (before.saturating_sub(self.waited), self.waited + lease.waited());
        self.worker.shares.record(self.origin.direction(), attempt.meshed, proxy, peer);
    }

    fn count(&self, status: u16, grpc_status: Option<u8>) {
        if self.counted.replace(true) {
            return;
        }
        self.access.status(status, grpc_status);
        if let Some(series) = &self.series {
            series.record(status, grpc_status, self.started.elapsed());
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.count(0, None);
    }
}

fn rule(policy: &DestinationPolicy, head: &RequestHead<'_>) -> Result<Option<Arc<Rule>>, Reason> {
    match policy.routes.load().find(head) {
        Found::Rule(rule) => Ok(Some(rule.clone())),
        Found::NoRoutes => Ok(None),
        Found::NoMatch => Err(Reason::NoRoute),
    }
}

fn protocol(head: &RequestHead<'_>) -> mesh::Protocol {
    match head.version() {
        Version::Http2 => mesh::Protocol::Http2,
        Version::Http10 | Version::Http11 => mesh::Protocol::Http1,
    }
}

/// What of a request decides whether it may be sent twice.
fn traits(head: &RequestHead<'_>) -> Traits {
    let has_key = head.field(b"idempotency-key").is_some();
    let marked = head
        .fields()
        .filter(|field| field.name.eq_ignore_ascii_case(b"tracestate"))
        .any(|field| retry::is_marked(field.value));
    Traits { idempotent: retry::idempotent(head.method(), has_key), marked }
}

/// What the breaker learns from a failed try, and why it has set the endpoint aside, if it has.
fn judge(lease: &mut Lease, reason: Reason) -> Option<EjectionCause> {
    match (reason, reason.verdict()) {
        // The endpoint is well; this client may not call it, or asked for too much of its time.
        (Reason::Denied | Reason::MtlsRequired | Reason::Loop | Reason::RequestTimeout, _) => None,
        (_, Verdict::NeverDelivered) => lease.refused(),
        (_, Verdict::MaybeDelivered | Verdict::Final) => lease.failure(),
    }
}

/// Whether an answer speaks against the endpoint: the server's own errors, not the client's.
fn is_failure(status: u16, grpc_status: Option<u8>) -> bool {
    // UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS; 501 says that a method is not there.
    let of_grpc = matches!(grpc_status, Some(2 | 4 | 13 | 14 | 15));
    of_grpc || (status >= 500 && status != 501)
}
