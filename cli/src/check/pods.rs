//! What pods and namespaces say of themselves.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Namespace, Pod};

/// The label by which injection is asked for.
pub const INJECT: &str = "weft.dev/inject";
/// The sidecar.
pub const SIDECAR: &str = "weft-proxy";
/// The init container before it.
pub const REDIRECT: &str = "weft-redirect";
/// Characters of a container's last words.
const LONGEST: usize = 300;
const INJECTED: &str = "weft.dev/injected";
/// Never injected, whatever they are labelled with.
const EXEMPT: [&str; 2] = ["kube-system", crate::install::NAMESPACE];

/// `namespace/name`.
pub fn path(pod: &Pod) -> String {
    let metadata = &pod.metadata;
    format!("{}/{}", namespace(pod), metadata.name.as_deref().unwrap_or_default())
}

/// Its namespace.
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// Whether it has a sidecar.
pub fn is_meshed(pod: &Pod) -> bool {
    has(pod.metadata.annotations.as_ref(), INJECTED, "true")
}

/// Whether its sidecar can be asked for its figures.
pub fn is_served(pod: &Pod) -> bool {
    is_meshed(pod) && !is_ending(pod) && init_status(pod, SIDECAR).is_some_and(|status| status.ready)
}

/// Whether its end has begun: nothing of it is worth a word any more.
pub fn is_ending(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether it is on the node's own network, where nothing can be redirected.
pub fn is_on_host(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

/// Whether every pod of a namespace is to be injected.
pub fn is_enabled(namespace: &Namespace) -> bool {
    has(namespace.metadata.labels.as_ref(), INJECT, "enabled") && !exempt(namespace.metadata.name.as_deref())
}

/// Whether a pod is to be injected: its own label wins over its namespace's.
pub fn is_wanted(pod: &Pod, namespaces: &[Namespace]) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let enabled = |namespace: &Namespace| namespace.metadata.name == pod.metadata.namespace && is_enabled(namespace);
    match labels.and_then(|labels| labels.get(INJECT)).map(String::as_str) {
        Some(value) => value == "enabled" && !exempt(pod.metadata.namespace.as_deref()),
        None => namespaces.iter().any(enabled),
    }
}

fn exempt(namespace: Option<&str>) -> bool {
    namespace.is_some_and(|name| EXEMPT.contains(&name))
}

fn has(map: Option<&BTreeMap<String, String>>, key: &str, value: &str) -> bool {
    map.and_then(|map| map.get(key)).is_some_and(|found| found == value)
}

/// The status of one of its init containers, which sidecars are.
pub fn init_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    pod.status.as_ref()?.init_container_statuses.as_ref()?.iter().find(|status| status.name == name)
}

/// The image of its sidecar.
pub fn sidecar_image(pod: &Pod) -> Option<&str> {
    let containers = pod.spec.as_ref()?.init_containers.as_ref()?;
    containers.iter().find(|container| container.name == SIDECAR)?.image.as_deref()
}

/// Whether it counts as ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// Why it is not ready, in the cluster's words: a container that waits or has failed, or a node that is not found.
pub fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let unscheduled = || {
        let condition =
            status.conditions.as_ref()?.iter().find(|one| one.reason.as_deref() == Some("Unschedulable"))?;
        condition.message.clone().map(|message| format!("cannot be scheduled: {message}"))
    };
    containers.filter_map(container_trouble).next().or_else(unscheduled)
}

/// Why a container does not run. Of one that is started again and again, how it ended last says more than that.
pub fn container_trouble(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let before = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        return match (reason, before) {
            ("PodInitializing" | "ContainerCreating" | "", _) => None,
            ("CrashLoopBackOff", Some(before)) => Some(ending(&status.name, before)),
            _ => Some(format!("container {}: {reason} {message}", status.name).trim_end().to_owned()),
        };
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some(ending(&status.name, ended))
}

/// The exit code, and the last line of what the container has left as its message.
fn ending(name: &str, ended: &ContainerStateTerminated) -> String {
    let lines = ended.message.as_deref().unwrap_or_default().lines();
    let last = lines.rev().map(str::trim).find(|line| !line.is_empty());
    let cause = last.or(ended.reason.as_deref()).unwrap_or_default();
    let cause: String = cause.chars().take(LONGEST).collect();
    format!("container {name} ended with {}: {cause}", ended.exit_code)
}
