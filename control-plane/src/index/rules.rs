//! Objects that say what is done with requests: routes and policies.

use std::time::Duration;

use weft_api::{ClientSet, RetryRule, RouteMatch, ServiceName};

use super::{ObjectName, Selector};

/// An HTTPRoute, as far as its parents are Services.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name.
    pub name: ObjectName,
    /// Seconds since the epoch; 0 where it is not said. The oldest route wins between equals.
    pub created: i64,
    /// Host names that requests must be for (`*.` wildcards allowed); none: any.
    pub hostnames: Vec<String>,
    /// The Services that it routes for.
    pub parents: Vec<Parent>,
    /// Its rules in their order; those that could not be understood are left out.
    pub rules: Vec<Rule>,
}

/// A Service that a route is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Parent {
    /// The Service.
    pub service: ServiceName,
    /// Only this port of it.
    pub port: Option<u16>,
}

/// One rule of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its own name, or its index.
    pub name: String,
    /// Any of them; at least one.
    pub matches: Vec<RouteMatch>,
    /// Where requests go.
    pub backends: Vec<BackendRef>,
    /// From the first byte of the request to the last of the response.
    pub request_timeout: Option<Duration>,
    /// The same for each try.
    pub backend_request_timeout: Option<Duration>,
    /// What is tried again.
    pub retry: Option<RetryRule>,
}

/// A share of a rule's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendRef {
    /// To a Service's port; whether that exists is seen when the route is resolved.
    Service {
        /// The Service.
        service: ServiceName,
        /// Its port.
        port: u16,
        /// Relative to the other backends'.
        weight: u32,
    },
    /// It cannot be followed: its share gets 500.
    Invalid {
        /// Relative to the other backends'.
        weight: u32,
    },
}

/// An InboundPolicy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name.
    pub name: ObjectName,
    /// The pods of its namespace that it is for.
    pub pods: Selector,
    /// The pods' ports that it is for; none: all.
    pub ports: Vec<u16>,
    /// Plaintext is refused.
    pub require_mtls: bool,
    /// Who may call; None: anyone.
    pub allowed: Option<ClientSet>,
}
