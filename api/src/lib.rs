//! The contract between proxies and the control plane.
//!
//! [`pb`] is the wire: generated from `proto/weft/v1/weft.proto`. The other modules are what both sides work with:
//! types that cannot be wrong, made from the wire by `TryFrom` (parse, don't validate) and turned into it by `From`.
//! Nothing here does IO, knows Kubernetes, or decides anything.

mod error;
mod inbound;
mod name;
pub mod probe;
mod resource;
mod route;
pub mod setting;
mod unknown;
mod version;

pub use error::InvalidResource;
pub use inbound::{ClientPattern, ClientSet, InboundPort, InboundRule, InboundView};
pub use name::{Destination, NameError, ServiceName};
pub use resource::{
    AppProtocol, ClusterView, EndpointView, Key, PodView, Resource, ServicePort, ServiceView, TrustBundleView,
    WorkloadPort,
};
pub use route::{Backend, Method, PathMatch, RetryRule, RouteMatch, RouteView, ValueMatch};
pub use unknown::{UnknownSetting, unknown_settings};
pub use version::Version;

/// The wire: messages and gRPC services of `weft.v1`.
pub mod pb {
    #![allow(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("weft.v1");
}

/// The wire of gRPC's own health checks: `grpc.health.v1`.
pub mod health {
    #![allow(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("grpc.health.v1");
}

/// The wire of OpenTelemetry's spans, as far as Weft sends them.
pub mod otlp {
    #![allow(missing_docs, clippy::all, reason = "generated code")]
    tonic::include_proto!("otlp.v1");
}
