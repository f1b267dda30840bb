//! How objects enter the ways to find them, how they leave, and what that affects.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    Affected, Index, Object, Pod, Service, has_all,
    lookup::{addresses, backends, block, enter, in_namespace, leave, named, named_pods},
};

/// The label by which a pod asks for a sidecar.
const INJECT: (&str, &str) = ("weft.dev/inject", "enabled");

impl Index {
    /// Enters a new object into the ways to find it. It affects what it can be found by now.
    pub(super) fn link(&mut self, object: &Object, affected: &mut Affected) {
        for address in addresses(object) {
            affected.blocks |= count(&mut self.blocks, block(address));
        }
        match object {
            Object::Slice(slice) => {
                enter(&mut self.slices_of, slice.service.clone(), &slice.name);
                slice.endpoints.iter().for_each(|one| enter(&mut self.slices_at, one.address, &slice.name));
                named_pods(slice).for_each(|pod| enter(&mut self.slices_naming, pod.clone(), &slice.name));
            }
            Object::Route(route) => {
                route.parents.iter().for_each(|one| enter(&mut self.routes_for, one.service.clone(), &route.name));
                backends(route).for_each(|service| enter(&mut self.routes_to, service.clone(), &route.name));
            }
            Object::Pod(pod) => {
                pod.addresses.iter().for_each(|one| enter(&mut self.pods_at, *one, &pod.name));
                affected.meshed |= is_meshed(pod) && count(&mut self.meshed, pod.name.namespace.clone());
            }
            Object::Node(_) | Object::Policy(_) | Object::Service(_) => {}
        }
        self.mark(object, affected);
    }

    /// The reverse of [`Index::link`]. It affects what it could be found by until now.
    pub(super) fn unlink(&mut self, object: &Object, affected: &mut Affected) {
        self.mark(object, affected);
        for address in addresses(object) {
            affected.blocks |= uncount(&mut self.blocks, block(address));
        }
        match object {
            Object::Slice(slice) => {
                leave(&mut self.slices_of, &slice.service, &slice.name);
                slice.endpoints.iter().for_each(|one| leave(&mut self.slices_at, &one.address, &slice.name));
                named_pods(slice).for_each(|pod| leave(&mut self.slices_naming, pod, &slice.name));
            }
            Object::Route(route) => {
                route.parents.iter().for_each(|one| leave(&mut self.routes_for, &one.service, &route.name));
                backends(route).for_each(|service| leave(&mut self.routes_to, service, &route.name));
            }
            Object::Pod(pod) => {
                pod.addresses.iter().for_each(|one| leave(&mut self.pods_at, one, &pod.name));
                affected.meshed |= is_meshed(pod) && uncount(&mut self.meshed, pod.name.namespace.clone());
            }
            Object::Node(_) | Object::Policy(_) | Object::Service(_) => {}
        }
    }

    fn mark(&self, object: &Object, affected: &mut Affected) {
        match object {
            Object::Slice(slice) => drop(affected.services.insert(slice.service.clone())),
            Object::Route(route) => affected.services.extend(route.parents.iter().map(|one| one.service.clone())),
            Object::Policy(policy) => {
                let pods = in_namespace(&self.pods, &policy.name.namespace);
                affected.pods.extend(pods.filter(|pod| policy.pods.matches(&pod.labels)).map(|pod| pod.name.clone()));
            }
            Object::Node(node) => {
                let here = self.pods.values().filter(|pod| *pod.node == *node.name.name);
                affected.pods.extend(here.map(|pod| pod.name.clone()));
            }
            Object::Pod(pod) => self.mark_pod(pod, affected),
            Object::Service(service) => self.mark_service(service, affected),
        }
    }

    fn mark_pod(&self, pod: &Pod, affected: &mut Affected) {
        affected.pods.insert(pod.name.clone());
        affected.addresses.extend(&pod.addresses);
        let at_its_addresses = pod.addresses.iter().flat_map(|address| named(&self.slices_at, address));
        let slices = at_its_addresses.chain(named(&self.slices_naming, &pod.name));
        let services = slices.filter_map(|name| self.slices.get(name)).map(|slice| slice.service.clone());
        affected.services.extend(services);
    }

    fn mark_service(&self, service: &Service, affected: &mut Affected) {
        affected.services.insert(service.name.clone());
        let routes = named(&self.routes_to, &service.name).filter_map(|name| self.routes.get(name));
        affected.services.extend(routes.flat_map(|route| route.parents.iter().map(|one| one.service.clone())));
        if service.selector.is_empty() {
            return;
        }
        let pods = in_namespace(&self.pods, &service.name.namespace);
        for pod in pods.filter(|pod| has_all(&pod.labels, &service.selector)) {
            affected.pods.insert(pod.name.clone());
            affected.addresses.extend(&pod.addresses);
        }
    }
}

/// It has a sidecar, or asks for one.
fn is_meshed(pod: &Pod) -> bool {
    pod.meshed || pod.labels.get(INJECT.0).is_some_and(|value| value == INJECT.1)
}

/// Whether it is the first.
fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> bool {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count == 1
}

/// Whether it was the last.
fn uncount<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> bool {
    let Entry::Occupied(mut count) = counts.entry(key) else { return false };
    *count.get_mut() -= 1;
    let was_last = *count.get() == 0;
    if was_last {
        count.remove();
    }
    was_last
}
