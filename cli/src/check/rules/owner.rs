//! How a pod is made anew: that depends on what has made it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use crate::check::finding::SHOWN;
use crate::check::pods;

/// The commands that make pods anew, each once.
pub(super) fn restart(pods: &[&Pod]) -> String {
    let commands: BTreeSet<String> = pods.iter().map(|pod| command(pod)).collect();
    let more = commands.len().saturating_sub(SHOWN);
    let shown = commands.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ");
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}

fn command(pod: &Pod) -> String {
    let (namespace, name) = (pods::namespace(pod), pod.metadata.name.as_deref().unwrap_or_default());
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let Some(owner) = owner else {
        return format!("kubectl delete pod -n {namespace} {name}, and apply its manifest again");
    };
    let rollout = |kind: &str, name: &str| format!("kubectl rollout restart -n {namespace} {kind}/{name}");
    match owner.kind.as_str() {
        "StatefulSet" => rollout("statefulset", &owner.name),
        "DaemonSet" => rollout("daemonset", &owner.name),
        "ReplicaSet" if let Some(deployment) = deployment(pod, &owner.name) => rollout("deployment", deployment),
        // A Job, or a kind of somebody else's: it makes another one.
        _ => format!("kubectl delete pod -n {namespace} {name}"),
    }
}

/// The Deployment of a ReplicaSet: the name without the hash that the Deployment has put behind it.
fn deployment<'a>(pod: &Pod, replica_set: &'a str) -> Option<&'a str> {
    let hash = pod.metadata.labels.as_ref()?.get("pod-template-hash")?;
    replica_set.strip_suffix(hash.as_str())?.strip_suffix('-')
}
