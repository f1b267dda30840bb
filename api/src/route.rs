//! Routes as the proxy follows them: rules in order of precedence, already resolved for one client namespace.

use std::time::Duration;

use crate::{Destination, InvalidResource, name::parse, pb};

/// One rule of a destination's routes. The first rule of the list that matches a request wins.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteView {
    /// `namespace/name/rule` of the HTTPRoute, for metrics and messages.
    pub name: String,
    /// Host names that the request's host must be one of (`*.` wildcards allowed); none: any.
    pub hostnames: Vec<String>,
    /// Any of them must match; none matches everything.
    pub matches: Vec<RouteMatch>,
    /// Where requests go, by weight. None, or all of weight 0: every request gets 500 (Gateway API).
    pub backends: Vec<Backend>,
    /// From the first byte of the request to the last of the response. None: no limit.
    pub request_timeout: Option<Duration>,
    /// The same for each try.
    pub backend_request_timeout: Option<Duration>,
    /// Which answers are worth another try (GEP-1731). None: only what provably never reached an app.
    pub retry: Option<RetryRule>,
}

/// What a request must look like: all that is given must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteMatch {
    /// The path, without its query. None: any.
    pub path: Option<PathMatch>,
    /// Header fields by lower-case name.
    pub headers: Vec<(String, ValueMatch)>,
    /// Query parameters by name.
    pub query: Vec<(String, ValueMatch)>,
    /// The method. None: any.
    pub method: Option<Method>,
}

/// A path's match (Gateway API HTTPPathMatch).
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// Leading segments: `/v2` matches `/v2` and `/v2/x`, not `/v2x`.
    Prefix(String),
    /// A regular expression over the whole path.
    Regex(String),
}

/// A header's or query parameter's match.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueMatch {
    /// The whole value.
    Exact(String),
    /// A regular expression over the whole value.
    Regex(String),
}

/// An HTTP method, as it stands in the request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method(pub String);

/// A share of a rule's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Backend {
    /// To this destination.
    Destination {
        /// Where to.
        destination: Destination,
        /// Relative to the other backends'.
        weight: u32,
    },
    /// It names something that does not exist: its share gets 500 (Gateway API).
    Invalid {
        /// Relative to the other backends'.
        weight: u32,
    },
}

/// What a route asks to be tried again (GEP-1731).
#[derive(Clone, Debug, PartialEq)]
pub struct RetryRule {
    /// HTTP status codes, 400–599.
    pub codes: Vec<u16>,
    /// Tries beyond the first, at least 1.
    pub attempts: u32,
    /// The least time between tries. Default 25 ms.
    pub backoff: Duration,
}

const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

fn limit(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

fn milliseconds(limit: Option<Duration>) -> u64 {
    limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
}

impl TryFrom<pb::Route> for RouteView {
    type Error = InvalidResource;

    fn try_from(route: pb::Route) -> Result<Self, InvalidResource> {
        Ok(Self {
            name: route.name,
            hostnames: route.hostnames,
            matches: route.matches.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            backends: route.backends.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            request_timeout: limit(route.request_timeout_ms),
            backend_request_timeout: limit(route.backend_request_timeout_ms),
            retry: route.retry.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<RouteView> for pb::Route {
    fn from(route: RouteView) -> Self {
        Self {
            name: route.name,
            hostnames: route.hostnames,
            matches: route.matches.into_iter().map(Into::into).collect(),
            backends: route.backends.into_iter().map(Into::into).collect(),
            request_timeout_ms: milliseconds(route.request_timeout),
            backend_request_timeout_ms: milliseconds(route.backend_request_timeout),
            retry: route.retry.map(Into::into),
        }
    }
}

impl TryFrom<pb::RouteMatch> for RouteMatch {
    type Error = InvalidResource;

    fn try_from(wire: pb::RouteMatch) -> Result<Self, InvalidResource> {
        use pb::{header_match::Kind as HeaderKind, path_match::Kind as PathKind, query_match::Kind as QueryKind};
        let path = match wire.path {
            None => None,
            Some(path) => Some(match path.kind.ok_or(InvalidResource::Missing("path.kind"))? {
                PathKind::Exact(text) => PathMatch::Exact(text),
                PathKind::Prefix(text) => PathMatch::Prefix(text),
                PathKind::Regex(text) => PathMatch::Regex(text),
            }),
        };
        let mut headers = Vec::with_capacity(wire.headers.len());
        for header in wire.headers {
            let value = match header.kind.ok_or(InvalidResource::Missing("header.kind"))? {
                HeaderKind::Exact(text) => ValueMatch::Exact(text),
                HeaderKind::Regex(text) => ValueMatch::Regex(text),
            };
            headers.push((header.name.to_ascii_lowercase(), value));
        }
        let mut query = Vec::with_capacity(wire.query.len());
        for parameter in wire.query {
            let value = match parameter.kind.ok_or(InvalidResource::Missing("query.kind"))? {
                QueryKind::Exact(text) => ValueMatch::Exact(text),
                QueryKind::Regex(text) => ValueMatch::Regex(text),
            };
            query.push((parameter.name, value));
        }
        let method = (!wire.method.is_empty()).then_some(Method(wire.method));
        Ok(Self { path, headers, query, method })
    }
}

impl From<RouteMatch> for pb::RouteMatch {
    fn from(rule: RouteMatch) -> Self {
        use pb::{header_match::Kind as HeaderKind, path_match::Kind as PathKind, query_match::Kind as QueryKind};
        let path = rule.path.map(|path| pb::PathMatch {
            kind: Some(match path {
                PathMatch::Exact(text) => PathKind::Exact(text),
                PathMatch::Prefix(text) => PathKind::Prefix(text),
                PathMatch::Regex(text) => PathKind::Regex(text),
            }),
        });
        let headers = rule.headers.into_iter().map(|(name, value)| pb::HeaderMatch {
            name,
            kind: Some(match value {
                ValueMatch::Exact(text) => HeaderKind::Exact(text),
                ValueMatch::Regex(text) => HeaderKind::Regex(text),
            }),
        });
        let query = rule.query.into_iter().map(|(name, value)| pb::QueryMatch {
            name,
            kind: Some(match value {
                ValueMatch::Exact(text) => QueryKind::Exact(text),
                ValueMatch::Regex(text) => QueryKind::Regex(text),
            }),
        });
        Self {
            path,
            headers: headers.collect(),
            query: query.collect(),
            method: rule.method.map_or_else(String::new, |method| method.0),
        }
    }
}

impl TryFrom<pb::Backend> for Backend {
    type Error = InvalidResource;

    fn try_from(backend: pb::Backend) -> Result<Self, InvalidResource> {
        let weight = backend.weight;
        if backend.invalid {
            return Ok(Self::Invalid { weight });
        }
        Ok(Self::Destination { destination: parse(&backend.destination)?, weight })
    }
}

impl From<Backend> for pb::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Destination { destination, weight } => {
                Self { destination: destination.to_string(), weight, invalid: false }
            }
            Backend::Invalid { weight } => Self { destination: String::new(), weight, invalid: true },
        }
    }
}

impl TryFrom<pb::Retry> for RetryRule {
    type Error = InvalidResource;

    fn try_from(retry: pb::Retry) -> Result<Self, InvalidResource> {
        let code = |code: u32| {
            u16::try_from(code)
                .ok()
                .filter(|code| (400..600).contains(code))
                .ok_or(InvalidResource::OutOfRange { field: "retry.codes", value: code.into() })
        };
        Ok(Self {
            codes: retry.codes.into_iter().map(code).collect::<Result<_, _>>()?,
            attempts: retry.attempts.max(1),
            backoff: limit(retry.backoff_ms).unwrap_or(DEFAULT_BACKOFF),
        })
    }
}

impl From<RetryRule> for pb::Retry {
    fn from(retry: RetryRule) -> Self {
        Self {
            codes: retry.codes.into_iter().map(u32::from).collect(),
            attempts: retry.attempts,
            backoff_ms: milliseconds(Some(retry.backoff)),
        }
    }
}
