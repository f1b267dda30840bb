//! Kubernetes objects -> the index's objects, the same for every registry.
//!
//! What is wrong in a way that makes an object meaningless is an error; what is not supported yet is a warning, and
//! the part that says it is invalid as a whole rather than half applied.

mod finding;
mod kind;
mod node;
mod pod;
mod policy;
mod route;
mod service;
mod slice;
#[cfg(test)]
mod tests;
mod workload;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use weft_api::AppProtocol;

pub use finding::{Field, Finding, Problem, Step};
pub use kind::Kind;
pub use node::node;
pub use pod::pod;
pub use policy::{InboundPolicy, policy};
pub use route::{HttpRoute, route};
pub use service::service;
pub use slice::slice;

use crate::index::{ObjectName, PortRange};

/// Set to `"true"` on a pod by whoever put a sidecar beside it (the injector, the sandbox).
pub const INJECTED: &str = "weft.dev/injected";
/// Ports of a Service or a pod that are never looked into: `"3306,5432-5440"`.
pub const OPAQUE_PORTS: &str = "weft.dev/opaque-ports";

/// The name of an object; `default` is the namespace of one that does not say.
fn name(meta: &ObjectMeta) -> Result<ObjectName, Finding> {
    let name = meta.name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Finding::at("metadata.name", Problem::Missing))?;
    Ok(ObjectName::new(meta.namespace.as_deref().unwrap_or("default"), name))
}

fn created(meta: &ObjectMeta) -> i64 {
    meta.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok().filter(|port| *port != 0)
}

/// What `appProtocol` declares (KEP-3726 and IANA names). `http` says nothing of the version, so it is looked for.
fn app_protocol(declared: Option<&str>) -> AppProtocol {
    match declared.unwrap_or_default() {
        "grpc" | "h2c" | "http2" | "kubernetes.io/h2c" => AppProtocol::Http2,
        "kubernetes.io/ws" => AppProtocol::Http1,
        "https" | "tls" | "kubernetes.io/wss" => AppProtocol::Tls,
        "tcp" | "weft.dev/opaque" => AppProtocol::Opaque,
        _ => AppProtocol::Detect,
    }
}

/// The ranges of an opaque-ports annotation; what is not a port or a range is warned of and left out.
fn opaque_ports(meta: &ObjectMeta, warnings: &mut Vec<Finding>) -> Vec<PortRange> {
    let Some(text) = meta.annotations.as_ref().and_then(|all| all.get(OPAQUE_PORTS)) else { return Vec::new() };
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().ok().filter(|port: &u16| *port != 0);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => ranges.push(PortRange { first, last }),
            _ => {
                let field = Field::new("metadata.annotations").key(OPAQUE_PORTS);
                warnings.push(Finding { field, problem: Problem::NotAPort(part.to_owned()) });
            }
        }
    }
    ranges
}
