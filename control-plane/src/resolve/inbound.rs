//! Policy of one pod: its ports, what they speak, and what remains of all policies that select it.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::{AppProtocol, InboundPort, InboundRule, InboundView, ServiceName, WorkloadPort};

use crate::index::{Index, ObjectName, Pod, Policy, TargetPort};

/// What the pod's proxy enforces. None: there is no such pod.
pub fn inbound(index: &Index, pod: &ObjectName) -> Option<InboundView> {
    let pod = index.pod(pod)?;
    let policies: Vec<&Policy> = index.policies_of(pod).collect();
    let declared: BTreeMap<u16, WorkloadPort> = ports(index, pod).into_iter().map(|port| (port.port, port)).collect();
    let named = policies.iter().flat_map(|policy| policy.ports.iter().copied());
    let all: BTreeSet<u16> = declared.keys().copied().chain(named).collect();
    let view = |number: u16| {
        let declared = declared.get(&number);
        InboundPort {
            port: number,
            protocol: declared.map(|port| port.protocol).unwrap_or_default(),
            service: declared.and_then(|port| port.service.clone()),
            rule: rule(policies.iter().copied().filter(|policy| selects(policy, number))),
        }
    };
    let everywhere = policies.iter().copied().filter(|policy| policy.ports.is_empty());
    Some(InboundView {
        ports: all.into_iter().map(view).collect(),
        default_rule: rule(everywhere),
        node: pod.node.clone(),
        zone: index.zone(&pod.node).to_owned(),
    })
}

fn selects(policy: &Policy, port: u16) -> bool {
    policy.ports.is_empty() || policy.ports.contains(&port)
}

/// The strictest wins: mTLS if any demands it, and a client must be allowed by each that names clients.
fn rule<'a>(policies: impl Iterator<Item = &'a Policy>) -> InboundRule {
    let mut rule = InboundRule::default();
    for policy in policies {
        rule.require_mtls |= policy.require_mtls;
        rule.all_of.extend(policy.allowed.clone());
        if !rule.policy.is_empty() {
            rule.policy.push_str(", ");
        }
        rule.policy.push_str(&policy.name.to_string());
    }
    rule
}

/// The ports that the pod, or a Service that selects it, declares.
pub(super) fn ports(index: &Index, pod: &Pod) -> Vec<WorkloadPort> {
    let mut found: BTreeMap<u16, WorkloadPort> = BTreeMap::new();
    for service in index.services_of(pod) {
        for port in &service.ports {
            let Some(target) = target(pod, &port.target) else { continue };
            merge(&mut found, target, port.protocol, &service.name);
        }
    }
    let undeclared = |port: u16| WorkloadPort { port, protocol: AppProtocol::Detect, service: None };
    for port in &pod.ports {
        found.entry(port.port).or_insert_with(|| undeclared(port.port));
    }
    for range in &pod.opaque_ports {
        // A wide range is meant for ports that are declared; a single port need not be.
        if range.first == range.last {
            found.entry(range.first).or_insert_with(|| undeclared(range.first));
        }
        found
            .values_mut()
            .filter(|port| range.contains(port.port))
            .for_each(|port| port.protocol = AppProtocol::Opaque);
    }
    found.into_values().collect()
}

fn target(pod: &Pod, target: &TargetPort) -> Option<u16> {
    match target {
        TargetPort::Number(port) => Some(*port),
        TargetPort::Name(name) => pod.ports.iter().find(|port| port.name == *name).map(|port| port.port),
    }
}

/// Two Services may lead to one port. The first by name is the one that metrics name; what they do not agree on is
/// looked at, unless one says that it must not be.
fn merge(found: &mut BTreeMap<u16, WorkloadPort>, port: u16, protocol: AppProtocol, service: &ServiceName) {
    let known = found.entry(port).or_insert_with(|| WorkloadPort { port, protocol, service: Some(service.clone()) });
    if known.protocol == protocol {
        return;
    }
    let opaque = known.protocol == AppProtocol::Opaque || protocol == AppProtocol::Opaque;
    known.protocol = if opaque { AppProtocol::Opaque } else { AppProtocol::Detect };
}
