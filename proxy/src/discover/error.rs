//! Why an address leads nowhere, and why a resource is refused.

use std::{net::SocketAddr, time::Duration};

use weft_api::{InvalidResource, ServiceName};
use weft_certs::SpiffeIdError;

use crate::{address::OrigDst, error::Reason, route::RouteError};

/// Why a connection to an address cannot go anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    /// The address is outside of the cluster, and that is forbidden here.
    #[error("{to} is outside of the cluster, and WEFT_FOREIGN_ALLOWED is false")]
    ForeignForbidden {
        /// Where the app wanted to go.
        to: OrigDst,
    },
    /// The address is in the cluster or may be, and the control plane has not said where it leads.
    #[error("the control plane did not say within {limit:?} where {to} leads")]
    Timeout {
        /// Where the app wanted to go.
        to: OrigDst,
        /// How long was waited.
        limit: Duration,
    },
    /// It is a Service's address, and the Service has no such port.
    #[error("service {service} has no port {port}")]
    UndeclaredPort {
        /// Whose address it is.
        service: ServiceName,
        /// The port that was called.
        port: u16,
    },
}

impl DiscoverError {
    /// What it is at the connection's edge.
    pub fn reason(&self) -> Reason {
        match self {
            Self::ForeignForbidden { .. } => Reason::ForeignForbidden,
            Self::Timeout { .. } => Reason::DiscoveryTimeout,
            Self::UndeclaredPort { .. } => Reason::UndeclaredPort,
        }
    }
}

/// Why a resource was not taken. The last good one stays, and the new one is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum RefusedResource {
    /// An endpoint or a pod has an identity that is none.
    #[error("the identity of {address} is invalid")]
    Identity {
        /// Whose.
        address: SocketAddr,
        /// What is wrong with it.
        source: SpiffeIdError,
    },
    /// The resource cannot be read.
    #[error("the resource cannot be read")]
    Invalid(#[from] InvalidResource),
    /// The content is not of the key's kind.
    #[error("key and content are of different kinds")]
    Kind,
    /// A route asks for something that this release does not have.
    #[error("the routes cannot be followed")]
    Route(#[from] RouteError),
}
