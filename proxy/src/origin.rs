//! What a client's connection is for: where its requests go, and what they are called in messages and metrics.

use std::{net::SocketAddr, sync::Arc};

use weft_api::AppProtocol;

use crate::{
    address::OrigDst,
    config::Config,
    error::Reason,
    policy::{DestinationPolicy, PodTarget, PortPolicy},
    telemetry::Direction,
};

/// Where the requests of a client's connection go.
#[derive(Clone)]
pub enum Origin {
    /// Outbound, to a Service.
    Service(Arc<DestinationPolicy>),
    /// Outbound, to a pod by its own address.
    Pod(Arc<PodTarget>),
    /// Inbound from a client outside of the mesh, to the app beside this proxy.
    App(AppTarget),
    /// Outbound, to an address that leads nowhere: a client that speaks HTTP is told why.
    Nowhere(Nowhere),
}

/// An address that leads nowhere.
#[derive(Clone)]
pub struct Nowhere {
    /// What the app wanted.
    pub orig_dst: OrigDst,
    /// Why it cannot be had.
    pub reason: Reason,
}

/// A port of the app beside this proxy.
#[derive(Clone)]
pub struct AppTarget {
    /// The pod's own address, and the port.
    pub address: SocketAddr,
    /// What applies to the port.
    pub policy: Arc<PortPolicy>,
}

impl Origin {
    /// Which way this is.
    pub fn direction(&self) -> Direction {
        match self {
            Self::Service(_) | Self::Pod(_) | Self::Nowhere(_) => Direction::Outbound,
            Self::App(_) => Direction::Inbound,
        }
    }

    /// What the port is declared to speak.
    pub fn protocol(&self) -> AppProtocol {
        match self {
            Self::Service(policy) => policy.protocol(),
            Self::Pod(pod) => pod.backend.protocol(),
            Self::App(app) => app.policy.protocol,
            Self::Nowhere(_) => AppProtocol::Detect,
        }
    }

    /// Whether the settings say not to look at the port's bytes.
    pub fn is_opaque_port(&self, config: &Config) -> bool {
        let port = match self {
            Self::Service(policy) => policy.destination.port,
            Self::Pod(pod) => pod.backend.destination.port,
            Self::App(app) => app.address.port(),
            Self::Nowhere(nowhere) => nowhere.orig_dst.0.port(),
        };
        config.interception.opaque_ports.contains(port)
    }

    /// What it is called in a message to a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Service(policy) => policy.destination.to_string(),
            Self::Pod(pod) => format!("pod {}/{}", pod.namespace, pod.pod),
            Self::App(app) => app.address.to_string(),
            Self::Nowhere(nowhere) => nowhere.orig_dst.to_string(),
        }
    }

    /// Namespace and name of the Service, for labels.
    pub fn service(&self) -> (&str, &str) {
        match self {
            Self::Service(policy) => (&policy.destination.service.namespace, &policy.destination.service.name),
            Self::Pod(pod) => match &pod.service {
                Some(service) => (&service.namespace, &service.name),
                None => (&pod.namespace, ""),
            },
            Self::App(app) => match &app.policy.service {
                Some(service) => (&service.namespace, &service.name),
                None => ("", ""),
            },
            Self::Nowhere(_) => ("", ""),
        }
    }
}
