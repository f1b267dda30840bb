//! The endpoints of one destination under its name.

use std::sync::Arc;

use arc_swap::ArcSwap;
use weft_api::{AppProtocol, Destination};

use super::{Balancer, Settings};

/// Something that requests are sent to: the endpoints of one destination. Shared by all routes that name it.
#[derive(Debug)]
pub struct Backend {
    /// Whose endpoints these are. For a pod: the Service that leads there, or else the pod's own name.
    pub destination: Destination,
    /// Chooses among them.
    pub balancer: Balancer,
    protocol: ArcSwap<AppProtocol>,
}

impl Backend {
    /// A backend whose endpoints are not known yet.
    pub fn new(destination: Destination, protocol: AppProtocol, settings: Settings) -> Self {
        Self { destination, balancer: Balancer::new(settings), protocol: ArcSwap::from_pointee(protocol) }
    }

    /// What it speaks, as declared.
    pub fn protocol(&self) -> AppProtocol {
        **self.protocol.load()
    }

    /// The declaration has changed.
    pub fn declare(&self, protocol: AppProtocol) {
        if self.protocol() != protocol {
            self.protocol.store(Arc::new(protocol));
        }
    }
}
