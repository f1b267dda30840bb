//! Every reason that the proxy can fail a request or a connection for, and what follows from it.
//!
//! Steps have error enums of their own; at the edge of a request each becomes one [`Reason`]. The matches here are
//! exhaustive on purpose: a new reason must answer every question before it compiles.

/// Why the proxy itself ended a request or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The app closed its connection before its answer was whole.
    AppClosed,
    /// The app did not take a connection. Nothing reached it.
    AppRefused,
    /// The app did not take a connection in time. Nothing reached it.
    AppTimeout,
    /// Every try was answered by a broken or closing connection after bytes were sent.
    ConnectionLost,
    /// The endpoint did not take a connection.
    ConnectRefused,
    /// The endpoint did not take a connection in time.
    ConnectTimeout,
    /// The client's identity may not call this port.
    Denied,
    /// The control plane did not say in time where this address leads.
    DiscoveryTimeout,
    /// This proxy is going away.
    Draining,
    /// The destination is outside the mesh, and that is forbidden here.
    ForeignForbidden,
    /// The TLS handshake with the endpoint did not succeed.
    Handshake,
    /// The head has too many fields or bytes.
    HeadTooLarge,
    /// The request's own head did not come in time.
    HeadTimeout,
    /// The call would come back to this proxy, or is meant for a port of Weft's own.
    Loop,
    /// The client sent something that is not HTTP.
    MalformedRequest,
    /// The server sent something that is not HTTP.
    MalformedResponse,
    /// The port takes meshed clients only.
    MtlsRequired,
    /// The route has no backend that exists.
    NoBackend,
    /// The destination has no endpoint that takes requests.
    NoEndpoints,
    /// Routes exist, and none matches the request.
    NoRoute,
    /// The peer proxy proves that the request did not reach the app.
    NotDelivered,
    /// Too much is in flight.
    Overloaded,
    /// The peer proxy broke off the exchange.
    PeerReset,
    /// A time limit of the route, or the caller's deadline, has passed.
    RequestTimeout,
    /// A time limit for one try has passed.
    TryTimeout,
    /// The address is a Service's, and the Service has no such port.
    UndeclaredPort,
    /// The message uses a transfer coding or method that is not supported.
    Unsupported,
    /// The endpoint proved an identity that discovery did not name.
    WrongIdentity,
}

/// What the retry step may conclude from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request provably never reached the app: any request may be tried again.
    NeverDelivered,
    /// It may have reached the app: only what is idempotent, and only if a route asks for it.
    MaybeDelivered,
    /// Another try would end the same way.
    Final,
}

impl Reason {
    /// All of them, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::AppClosed,
        Self::AppRefused,
        Self::AppTimeout,
        Self::ConnectionLost,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Denied,
        Self::DiscoveryTimeout,
        Self::Draining,
        Self::ForeignForbidden,
        Self::Handshake,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::Loop,
        Self::MalformedRequest,
        Self::MalformedResponse,
        Self::MtlsRequired,
        Self::NoBackend,
        Self::NoEndpoints,
        Self::NoRoute,
        Self::NotDelivered,
        Self::Overloaded,
        Self::PeerReset,
        Self::RequestTimeout,
        Self::TryTimeout,
        Self::UndeclaredPort,
        Self::Unsupported,
        Self::WrongIdentity,
    ];

    /// The word for it: the `reason` label of `weft_proxy_errors_total` and the value of `weft-proxy-error`.
    pub fn label(self) -> &'static str {
        match self {
            Self::AppClosed => "app-closed",
            Self::AppRefused => "app-refused",
            Self::AppTimeout => "app-timeout",
            Self::ConnectionLost => "connection-lost",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Denied => "denied",
            Self::DiscoveryTimeout => "discovery-timeout",
            Self::Draining => "draining",
            Self::ForeignForbidden => "foreign-forbidden",
            Self::Handshake => "handshake",
            Self::HeadTooLarge => "head-too-large",
            Self::HeadTimeout => "head-timeout",
            Self::Loop => "loop",
            Self::MalformedRequest => "malformed-request",
            Self::MalformedResponse => "malformed-response",
            Self::MtlsRequired => "mtls-required",
            Self::NoBackend => "no-backend",
            Self::NoEndpoints => "no-endpoints",
            Self::NoRoute => "no-route",
            Self::NotDelivered => "not-delivered",
            Self::Overloaded => "overloaded",
            Self::PeerReset => "peer-reset",
            Self::RequestTimeout => "request-timeout",
            Self::TryTimeout => "try-timeout",
            Self::UndeclaredPort => "undeclared-port",
            Self::Unsupported => "unsupported",
            Self::WrongIdentity => "wrong-identity",
        }
    }

    /// The HTTP status of the response that says so.
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedRequest => 400,
            Self::Denied | Self::MtlsRequired | Self::ForeignForbidden => 403,
            Self::NoRoute => 404,
            Self::HeadTimeout => 408,
            Self::HeadTooLarge => 431,
            Self::NoBackend => 500,
            Self::Unsupported => 501,
            Self::AppClosed | Self::ConnectionLost | Self::MalformedResponse | Self::PeerReset => 502,
            Self::AppRefused
            | Self::ConnectRefused
            | Self::DiscoveryTimeout
            | Self::Draining
            | Self::Handshake
            | Self::NoEndpoints
            | Self::NotDelivered
            | Self::Overloaded
            | Self::UndeclaredPort
            | Self::WrongIdentity => 503,
            Self::AppTimeout | Self::ConnectTimeout | Self::RequestTimeout | Self::TryTimeout => 504,
            Self::Loop => 508,
        }
    }

    /// The gRPC status code of the response that says so.
    pub fn grpc_status(self) -> u8 {
        match self {
            Self::RequestTimeout | Self::TryTimeout => 4, // DEADLINE_EXCEEDED
            Self::Denied | Self::MtlsRequired | Self::ForeignForbidden => 7, // PERMISSION_DENIED
            Self::HeadTooLarge | Self::Overloaded => 8,   // RESOURCE_EXHAUSTED
            Self::NoRoute | Self::Unsupported => 12,      // UNIMPLEMENTED
            Self::MalformedRequest | Self::MalformedResponse | Self::NoBackend | Self::Loop => 13, // INTERNAL
            Self::AppClosed
            | Self::AppRefused
            | Self::AppTimeout
            | Self::ConnectionLost
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::DiscoveryTimeout
            | Self::Draining
            | Self::Handshake
            | Self::HeadTimeout
            | Self::NoEndpoints
            | Self::NotDelivered
            | Self::PeerReset
            | Self::UndeclaredPort
            | Self::WrongIdentity => 14, // UNAVAILABLE
        }
    }

    /// What the retry step may conclude.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::AppRefused
            | Self::AppTimeout
            | Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::Draining
            | Self::Handshake
            | Self::NotDelivered
            | Self::WrongIdentity => Verdict::NeverDelivered,
            Self::AppClosed | Self::ConnectionLost | Self::MalformedResponse | Self::PeerReset | Self::TryTimeout => {
                Verdict::MaybeDelivered
            }
            Self::Denied
            | Self::DiscoveryTimeout
            | Self::ForeignForbidden
            | Self::HeadTooLarge
            | Self::HeadTimeout
            | Self::Loop
            | Self::MalformedRequest
            | Self::MtlsRequired
            | Self::NoBackend
            | Self::NoEndpoints
            | Self::NoRoute
            | Self::Overloaded
            | Self::RequestTimeout
            | Self::UndeclaredPort
            | Self::Unsupported => Verdict::Final,
        }
    }
}

/// An error and its causes, on one line, for logs and messages.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn what_never_reached_the_app_is_not_the_client_s_fault() {
        for reason in Reason::ALL.iter().filter(|reason| reason.verdict() == Verdict::NeverDelivered) {
            assert!(reason.status() >= 500, "{}", reason.label());
        }
    }
}
