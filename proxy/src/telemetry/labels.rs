//! Label values: enums only, so that no client can choose one.

/// Which way a connection goes, seen from the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the pod.
    Inbound,
    /// From the pod.
    Outbound,
}

/// What the first bytes of a connection showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 by its preface.
    Http2,
    /// Anything else, or nothing.
    Opaque,
    /// A TLS ClientHello: carried as it comes.
    Tls,
}

/// What became of the wish to retry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryOutcome {
    /// It was sent again.
    Done,
    /// The route's number of attempts is used up.
    RefusedAttempts,
    /// The body was longer than what is kept for a retry.
    RefusedBody,
    /// The destination has no credit left.
    RefusedBudget,
    /// The caller's deadline leaves no time.
    RefusedDeadline,
    /// The request is itself a retry of the hop before.
    RefusedMarked,
    /// It may have reached the app and is not known to be idempotent.
    RefusedUnsafe,
}

/// What a balancer's pick ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PickOutcome {
    /// Every endpoint is set aside, and none appeared within the wait.
    AllEjected,
    /// There is no endpoint, and none appeared within the wait.
    Empty,
    /// An endpoint was picked.
    Picked,
    /// Too many requests wait for an endpoint already.
    QueueFull,
}

/// Why the breaker sets an endpoint aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EjectionCause {
    /// Answers failed one after the other.
    Consecutive,
    /// Fewer answers succeed than those of the other endpoints.
    SuccessRate,
    /// It takes no connection, or is not who it should be.
    Unreachable,
}

/// How a balancer sees an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// Set aside by the breaker.
    Ejected,
    /// One request is trying whether it is well again.
    Probing,
    /// It takes requests.
    Ready,
}

/// How a try to get a new certificate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenewalOutcome {
    /// No certificate came; it is tried again.
    Failed,
    /// A new certificate is in use.
    Renewed,
}

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanOutcome {
    /// The collector has taken it.
    Exported,
    /// The collector has not taken it.
    NotTaken,
    /// Too many waited to be sent already.
    QueueFull,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl Protocol {
    pub(super) const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Opaque, Self::Tls];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Opaque => "opaque",
            Self::Tls => "tls",
        }
    }
}

impl RetryOutcome {
    pub(super) const ALL: [Self; 7] = [
        Self::Done,
        Self::RefusedAttempts,
        Self::RefusedBody,
        Self::RefusedBudget,
        Self::RefusedDeadline,
        Self::RefusedMarked,
        Self::RefusedUnsafe,
    ];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RefusedAttempts => "refused_attempts",
            Self::RefusedBody => "refused_body",
            Self::RefusedBudget => "refused_budget",
            Self::RefusedDeadline => "refused_deadline",
            Self::RefusedMarked => "refused_marked",
            Self::RefusedUnsafe => "refused_unsafe",
        }
    }
}

impl PickOutcome {
    pub(super) const ALL: [Self; 4] = [Self::AllEjected, Self::Empty, Self::Picked, Self::QueueFull];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::AllEjected => "all_ejected",
            Self::Empty => "empty",
            Self::Picked => "picked",
            Self::QueueFull => "queue_full",
        }
    }
}

impl EjectionCause {
    pub(super) const ALL: [Self; 3] = [Self::Consecutive, Self::SuccessRate, Self::Unreachable];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Consecutive => "consecutive",
            Self::SuccessRate => "success_rate",
            Self::Unreachable => "unreachable",
        }
    }
}

impl EndpointState {
    pub(super) const ALL: [Self; 3] = [Self::Ejected, Self::Probing, Self::Ready];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::Ready => "ready",
        }
    }
}

impl SpanOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Exported, Self::NotTaken, Self::QueueFull];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::NotTaken => "not_taken",
            Self::QueueFull => "queue_full",
        }
    }
}

impl RenewalOutcome {
    pub(super) const ALL: [Self; 2] = [Self::Failed, Self::Renewed];

    /// The label's text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Renewed => "renewed",
        }
    }
}
