//! Destinations: where requests to a Service's port or to a pod may go.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use weft_api::{AppProtocol, Destination, ServiceName};

use crate::{balance::Backend, retry::Budget, route::RouteTable};

/// Everything about a Service's port that the outbound path needs.
#[derive(Debug)]
pub struct DestinationPolicy {
    /// The Service's port.
    pub destination: Destination,
    /// What its requests follow; without routes they go to `backend`.
    pub routes: ArcSwap<RouteTable>,
    /// The destination itself as a backend.
    pub backend: Arc<Backend>,
    /// For retries of requests to this destination, wherever its routes send them.
    pub budget: Budget,
    /// Its routes were answered, be it that there are none.
    routed: OnceLock<()>,
}

impl DestinationPolicy {
    /// A destination whose routes are not known yet.
    pub fn new(backend: Arc<Backend>, budget: Budget) -> Self {
        let destination = backend.destination.clone();
        Self { destination, routes: ArcSwap::default(), backend, budget, routed: OnceLock::new() }
    }

    /// Takes the whole list of its routes.
    pub fn follow(&self, routes: RouteTable) {
        self.routes.store(Arc::new(routes));
        self.routed.get_or_init(|| ());
    }

    /// What it speaks, as declared.
    pub fn protocol(&self) -> AppProtocol {
        self.backend.protocol()
    }

    /// Whether routes and endpoints are known, so that requests may be sent.
    pub fn answered(&self) -> bool {
        self.routed.get().is_some() && self.backend.balancer.answered()
    }
}

/// A pod that was called by its own address. Service routes do not apply to it (Gateway API).
#[derive(Debug)]
pub struct PodTarget {
    /// The pod as a backend of one endpoint.
    pub backend: Arc<Backend>,
    /// For retries.
    pub budget: Budget,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub pod: Arc<str>,
    /// A Service that leads to the port, for metrics.
    pub service: Option<ServiceName>,
}
