//! What a pod is one of, as people name it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The controller of ReplicaSets puts it on their pods, and ends their names with it.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The name of the Deployment, StatefulSet, DaemonSet or Job behind a pod; the pod's own where nothing controls it.
pub(super) fn workload(meta: &ObjectMeta) -> String {
    let controller = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let Some(owner) = controller else { return meta.name.clone().unwrap_or_default() };
    let hash = meta.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    match deployment {
        Some(deployment) if owner.kind == "ReplicaSet" => deployment.to_owned(),
        _ => owner.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    fn owned_by(kind: &str, name: &str, hash: &str) -> String {
        let owner = OwnerReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let labels = [(TEMPLATE_HASH.to_owned(), hash.to_owned())].into();
        workload(&ObjectMeta {
            name: Some("pod".to_owned()),
            owner_references: Some(vec![owner]),
            labels: Some(labels),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn a_pod_is_one_of_its_deployment_or_its_controller_or_stands_for_itself() {
        assert_eq!(owned_by("ReplicaSet", "users-5d8f", "5d8f"), "users");
        assert_eq!(owned_by("ReplicaSet", "by-hand", "5d8f"), "by-hand");
        assert_eq!(owned_by("StatefulSet", "store", "store-7c"), "store");
        assert_eq!(workload(&ObjectMeta { name: Some("alone".to_owned()), ..ObjectMeta::default() }), "alone");
    }
}
