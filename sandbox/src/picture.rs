//! What follows from the Services and the pods that are there: endpoints, forwards, names. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::cluster_ip::Forward;
use crate::hosts::Named;
use crate::manifest::{PodTemplate, Service, ServicePort, TargetPort};

/// A pod as its Services see it.
#[derive(Clone, Debug)]
pub(crate) struct PodView<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) template: &'a PodTemplate,
    pub(crate) addresses: [IpAddr; 2],
    pub(crate) ready: bool,
    pub(crate) meshed: bool,
    /// Its deletion has begun: it is there to the end, but nobody shall begin anything with it.
    pub(crate) stopping: bool,
}

impl PodView<'_> {
    /// Whether a Service leads to it.
    pub(crate) fn serves(&self, service: &Service) -> bool {
        !self.stopping && (self.ready || service.publish_not_ready)
    }
}

/// A Service with its ClusterIPs.
#[derive(Clone, Debug)]
pub(crate) struct ServiceView<'a> {
    pub(crate) spec: &'a Service,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The pods behind `service`, ready or not.
pub(crate) fn behind<'a, 'b>(service: &'a Service, pods: &'a [PodView<'b>]) -> impl Iterator<Item = &'a PodView<'b>> {
    let same = move |pod: &&PodView<'_>| pod.namespace == service.namespace && service.selects(&pod.template.labels);
    pods.iter().filter(same)
}

/// The pod's port behind a port of a Service.
pub(crate) fn target(port: &ServicePort, template: &PodTemplate) -> Option<u16> {
    match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => template.containers.iter().find_map(|container| container.ports.get(name).copied()),
    }
}

/// Every ClusterIP and port with its ready endpoints.
pub(crate) fn forwards(services: &[ServiceView<'_>], pods: &[PodView<'_>]) -> Vec<Forward> {
    let mut forwards = Vec::new();
    for service in services {
        for (to, port) in service.addresses.iter().flat_map(|to| service.spec.ports.iter().map(move |port| (to, port)))
        {
            let ready = behind(service.spec, pods).filter(|pod| pod.serves(service.spec));
            let endpoints = ready.filter_map(|pod| {
                let address = pod.addresses.iter().find(|address| address.is_ipv4() == to.is_ipv4())?;
                Some(SocketAddr::new(*address, target(port, pod.template)?))
            });
            let endpoints: BTreeSet<SocketAddr> = endpoints.collect();
            let (to, udp) = (SocketAddr::new(*to, port.port), port.udp);
            forwards.push(Forward { to, udp, endpoints: endpoints.into_iter().collect() });
        }
    }
    forwards
}

/// Every Service's name with its ClusterIPs, or where it has none, with the addresses of its ready pods.
pub(crate) fn names(services: &[ServiceView<'_>], pods: &[PodView<'_>]) -> Vec<Named> {
    let named = services.iter().map(|service| {
        let spec = service.spec;
        let addresses = if spec.headless {
            let ready = behind(spec, pods).filter(|pod| pod.serves(spec));
            let of_family = |address: &IpAddr| if address.is_ipv4() { spec.families.v4 } else { spec.families.v6 };
            ready.flat_map(|pod| pod.addresses).filter(of_family).collect()
        } else {
            service.addresses.clone()
        };
        Named { namespace: spec.namespace.clone(), name: spec.name.clone(), addresses }
    });
    named.collect()
}

/// Pods of a Service by the numbers that its ports have there: names may mean different ports in different pods.
pub(crate) fn by_ports<'a, 'b>(
    service: &'a Service,
    pods: &'a [PodView<'b>],
) -> BTreeMap<Vec<Option<u16>>, Vec<&'a PodView<'b>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for pod in behind(service, pods) {
        let ports = service.ports.iter().map(|port| target(port, pod.template)).collect();
        groups.entry(ports).or_default().push(pod);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifests;

    const SHOP: &str = "
{kind: Pod, metadata: {name: a, namespace: shop, labels: {app: users}},
 spec: {containers: [{name: c, command: [x], ports: [{name: http, containerPort: 8080}]}]}}
---
{kind: Service, metadata: {name: users, namespace: shop}, spec: {selector: {app: users}, ports: [{port: 80, targetPort: http}]}}
---
{kind: Service, metadata: {name: all, namespace: shop}, spec: {clusterIP: None, selector: {app: users}}}
";

    fn with_picture(ready: bool, check: impl FnOnce(&[ServiceView<'_>], &[PodView<'_>])) {
        let mut manifests = Manifests::default();
        manifests.add(SHOP, "test").unwrap();
        let addresses = [["10.96.0.1".parse().unwrap()].to_vec(), Vec::new()];
        let services = manifests.services.iter().zip(addresses);
        let services: Vec<_> = services.map(|(spec, addresses)| ServiceView { spec, addresses }).collect();
        let template = &manifests.workloads[0].template;
        let addresses = ["10.244.0.2".parse().unwrap(), "fd00:244::2".parse().unwrap()];
        check(
            &services,
            &[PodView { namespace: "shop", name: "a", template, addresses, ready, meshed: false, stopping: false }],
        );
    }

    #[test]
    fn a_cluster_ip_leads_to_the_named_port_of_its_ready_pods() {
        with_picture(true, |services, pods| {
            assert_eq!(forwards(services, pods)[0].endpoints, ["10.244.0.2:8080".parse().unwrap()]);
        });
        with_picture(false, |services, pods| assert!(forwards(services, pods)[0].endpoints.is_empty()));
    }

    #[test]
    fn a_headless_service_is_named_after_its_ready_pods() {
        with_picture(true, |services, pods| {
            let expected: IpAddr = "10.244.0.2".parse().unwrap();
            assert_eq!(names(services, pods)[1].addresses, [expected]);
        });
        with_picture(false, |services, pods| assert!(names(services, pods)[1].addresses.is_empty()));
    }
}
