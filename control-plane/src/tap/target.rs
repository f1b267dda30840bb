//! What a user wants to look at, and which pods that is.

use crate::index::{Index, Pod};

/// The kinds that can be tapped, by their plural: a pod, a Service, or what makes pods.
pub const RESOURCES: [&str; 7] =
    ["pods", "services", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs"];

/// A thing in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) namespace: String,
    /// One of [`RESOURCES`].
    pub(super) resource: String,
    pub(super) name: String,
}

impl Target {
    /// The Service that requests must be for, as `namespace/name`; empty for any.
    pub(super) fn service(&self) -> String {
        if self.resource == "services" { format!("{}/{}", self.namespace, self.name) } else { String::new() }
    }

    /// The pods behind it, whether meshed or not. What makes pods is known by its name alone, as in metrics.
    pub(super) fn pods<'a>(&'a self, index: &'a Index) -> impl Iterator<Item = &'a Pod> {
        let in_namespace = index.pods().filter(|pod| *pod.name.namespace == *self.namespace);
        in_namespace.filter(|pod| !pod.terminating && self.is_behind(index, pod))
    }

    fn is_behind(&self, index: &Index, pod: &Pod) -> bool {
        match self.resource.as_str() {
            "pods" => *pod.name.name == *self.name,
            "services" => index.services_of(pod).any(|service| *service.name.name == *self.name),
            _ => pod.workload == self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::shop_and;

    fn found(resource: &str, name: &str) -> Vec<String> {
        let index = shop_and(
            "{apiVersion: v1, kind: Pod, metadata: {name: users-5d9c7b6f4-x, namespace: shop, ownerReferences: \
             [{apiVersion: apps/v1, kind: ReplicaSet, name: users-5d9c7b6f4, uid: u, controller: true}], \
             labels: {pod-template-hash: 5d9c7b6f4}}, spec: {containers: []}, status: {podIP: 10.1.0.5}}",
        );
        let target = Target { namespace: "shop".into(), resource: resource.into(), name: name.into() };
        target.pods(&index).map(|pod| pod.name.name.to_string()).collect()
    }

    #[test]
    fn a_target_is_the_pods_behind_it_in_its_namespace() {
        assert_eq!(found("pods", "users-a"), ["users-a"]);
        assert_eq!(found("services", "users"), ["users-a", "users-b"]);
        assert_eq!(found("deployments", "users"), ["users-5d9c7b6f4-x"]);
        assert!(found("pods", "thief").is_empty() && found("services", "none").is_empty());
    }
}
