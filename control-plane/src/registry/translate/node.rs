//! Node.

use k8s_openapi::api::core::v1::Node as KubernetesNode;

use super::{Finding, Problem};
use crate::index::{Node, ObjectName};

/// The label by which a node says in which zone it is (Kubernetes' well-known labels).
const ZONE: &str = "topology.kubernetes.io/zone";

/// A node as the index holds it.
///
/// # Errors
/// It has no name.
pub fn node(node: &KubernetesNode) -> Result<Node, Finding> {
    let meta = &node.metadata;
    let name = meta.name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Finding::at("metadata.name", Problem::Missing))?;
    let zone = meta.labels.as_ref().and_then(|labels| labels.get(ZONE)).cloned().unwrap_or_default();
    Ok(Node { name: ObjectName::new("", name), zone })
}
