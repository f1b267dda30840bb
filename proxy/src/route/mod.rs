//! Which rule of a destination's routes a request follows, and to which backend (outbound step 3).
//!
//! The control plane sends rules in the order of precedence of the Gateway API, so the first that matches wins. Does
//! not choose an endpoint (`balance/`), does not enforce the limits that it names (`timeout/`, `retry/`).

mod compare;
mod rule;
mod split;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use weft_api::{Destination, RetryRule, RouteView};

pub use self::split::Split;
use self::{compare::Request, rule::Conditions};
use crate::{balance::Backend, http::RequestHead};

/// Why routes are refused, as a whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Regular expressions are implementation-specific in the Gateway API, and Weft has none: a pattern that a client's
    /// bytes can make slow does not belong between two bytes of a request.
    #[error("route {route} matches by regular expression {expression:?}, which is not supported")]
    Regex {
        /// `namespace/name/rule`.
        route: String,
        /// The expression.
        expression: String,
    },
}

/// The routes of one destination. Immutable.
#[derive(Debug, Default)]
pub struct RouteTable {
    rules: Vec<Arc<Rule>>,
}

/// A rule that requests follow.
#[derive(Debug)]
pub struct Rule {
    /// Unique in this process: the same rule read again has another.
    pub id: u64,
    /// `namespace/name/rule` of the HTTPRoute, for metrics and messages.
    pub name: Arc<str>,
    /// Where its requests go.
    pub split: Split,
    /// From the first byte of the request to the last of the response. None: no limit.
    pub request_timeout: Option<Duration>,
    /// The same for each try.
    pub backend_request_timeout: Option<Duration>,
    /// Which answers are worth another try.
    pub retry: Option<RetryRule>,
    conditions: Conditions,
}

/// What a look-up found.
#[derive(Debug)]
pub enum Found<'a> {
    /// The rule to follow.
    Rule(&'a Arc<Rule>),
    /// The destination has no routes: it is its own backend.
    NoRoutes,
    /// There are routes, and none is for this request: 404 (Gateway API).
    NoMatch,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl RouteTable {
    /// The table of these rules; `backend` gives the shared backend of each destination that they name.
    ///
    /// # Errors
    /// [`RouteError`]: the routes are refused whole.
    pub fn new(
        routes: Vec<RouteView>,
        mut backend: impl FnMut(&Destination) -> Arc<Backend>,
    ) -> Result<Self, RouteError> {
        let rules = routes.into_iter().map(|route| {
            let conditions = Conditions::new(&route)?;
            Ok(Arc::new(Rule {
                id: NEXT_ID.fetch_add(1, Relaxed),
                name: route.name.into(),
                split: Split::new(route.backends, &mut backend),
                request_timeout: route.request_timeout,
                backend_request_timeout: route.backend_request_timeout,
                retry: route.retry,
                conditions,
            }))
        });
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// The rule for a request.
    pub fn find(&self, head: &RequestHead<'_>) -> Found<'_> {
        self.find_for(&Request {
            method: head.method(),
            path: head.path(),
            query: head.query(),
            host: head.host(),
            field: &|name| head.field(name.as_bytes()),
        })
    }

    /// All rules, in order of precedence.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    fn find_for(&self, request: &Request<'_>) -> Found<'_> {
        match self.rules.iter().find(|rule| rule.conditions.meets(request)) {
            Some(rule) => Found::Rule(rule),
            None if self.rules.is_empty() => Found::NoRoutes,
            None => Found::NoMatch,
        }
    }
}

#[cfg(test)]
mod tests;
