//! Pod.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod as KubernetesPod, PodSpec, PodStatus};

use super::{Finding, INJECTED, Problem, created, is_tcp, name, opaque_ports, port, workload::workload};
use crate::index::{ContainerPort, Pod};

/// A pod as the index holds it.
///
/// # Errors
/// Its name or an address is not one.
pub fn pod(pod: &KubernetesPod, warnings: &mut Vec<Finding>) -> Result<Pod, Finding> {
    let annotations = pod.metadata.annotations.as_ref();
    let spec = pod.spec.as_ref();
    let account = spec.and_then(|spec| spec.service_account_name.clone()).filter(|name| !name.is_empty());
    Ok(Pod {
        name: name(&pod.metadata)?,
        uid: pod.metadata.uid.as_deref().unwrap_or_default().into(),
        created: created(&pod.metadata),
        workload: workload(&pod.metadata),
        addresses: addresses(spec, pod.status.as_ref())?,
        host_network: spec.is_some_and(is_on_host),
        service_account: account.unwrap_or_else(|| "default".to_owned()),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        meshed: annotations.and_then(|all| all.get(INJECTED)).is_some_and(|value| value == "true"),
        ports: spec.map(ports).unwrap_or_default(),
        opaque_ports: opaque_ports(&pod.metadata, warnings),
        node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
    })
}

/// The addresses that are this pod's alone. One on the host's network shares the node's with whatever else is there,
/// and one that has ended has given its own back.
fn addresses(spec: Option<&PodSpec>, status: Option<&PodStatus>) -> Result<Vec<IpAddr>, Finding> {
    let Some(status) = status else { return Ok(Vec::new()) };
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if ended || spec.is_some_and(is_on_host) {
        return Ok(Vec::new());
    }
    let many = status.pod_ips.iter().flatten().map(|one| &one.ip);
    let mut addresses = Vec::new();
    for text in many.chain(&status.pod_ip).filter(|text| !text.is_empty()) {
        let address = text.parse().map_err(|_| Finding::at("status.podIP", Problem::NotAnAddress(text.clone())))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn is_on_host(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}

fn ports(spec: &PodSpec) -> Vec<ContainerPort> {
    let sidecars = spec.init_containers.iter().flatten();
    let containers = spec.containers.iter().chain(sidecars.filter(|one| one.restart_policy.is_some()));
    let declared = containers.flat_map(|container| container.ports.iter().flatten());
    declared
        .filter(|one| is_tcp(one.protocol.as_deref()))
        .filter_map(|one| {
            let port = port(one.container_port)?;
            Some(ContainerPort { name: one.name.clone().unwrap_or_default(), port })
        })
        .collect()
}
