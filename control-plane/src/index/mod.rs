//! The index: every object that the registries know, and the ways to find them.
//!
//! Pure state: no async, no clock, no IO. Registries feed it; `resolve` reads it. Each change says what it affects.

mod affected;
#[cfg(test)]
pub(crate) mod arbitrary;
mod lookup;
mod object;
mod rules;
mod selector;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use weft_api::ServiceName;

pub use affected::Affected;
use lookup::{NamesBy, addresses, backends, block, enter, in_namespace, leave, named};
pub use object::{
    ContainerPort, Object, ObjectKey, ObjectKind, ObjectName, Pod, Port, PortRange, Service, Slice, SliceEndpoint,
    SlicePort, TargetPort,
};
pub use rules::{BackendRef, Parent, Policy, Route, Rule};
pub(crate) use selector::has_all;
pub use selector::{Requirement, Selector};

/// Everything that the registries know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    services: BTreeMap<ServiceName, Service>,
    slices: BTreeMap<ObjectName, Slice>,
    pods: BTreeMap<ObjectName, Pod>,
    routes: BTreeMap<ObjectName, Route>,
    policies: BTreeMap<ObjectName, Policy>,
    slices_of: NamesBy<ServiceName>,
    slices_at: NamesBy<IpAddr>,
    pods_at: NamesBy<IpAddr>,
    routes_for: NamesBy<ServiceName>,
    routes_to: NamesBy<ServiceName>,
    /// How many addresses of Services and pods lie in each block.
    blocks: BTreeMap<IpNet, usize>,
}

impl Index {
    /// Adds an object or replaces the one of its name.
    pub fn apply(&mut self, object: Object, affected: &mut Affected) {
        let key = object.key();
        if self.holds(&object) {
            return;
        }
        self.delete(&key, affected);
        self.link(&object, affected);
        match object {
            Object::Slice(slice) => drop(self.slices.insert(key.name, slice)),
            Object::Route(route) => drop(self.routes.insert(key.name, route)),
            Object::Policy(policy) => drop(self.policies.insert(key.name, policy)),
            Object::Pod(pod) => drop(self.pods.insert(key.name, pod)),
            Object::Service(service) => drop(self.services.insert(service.name.clone(), service)),
        }
    }

    /// Removes an object; nothing happens when it is not there.
    pub fn delete(&mut self, key: &ObjectKey, affected: &mut Affected) {
        let name = &key.name;
        let service = ServiceName { namespace: name.namespace.clone(), name: name.name.clone() };
        let removed = match key.kind {
            ObjectKind::EndpointSlice => self.slices.remove(name).map(Object::Slice),
            ObjectKind::HttpRoute => self.routes.remove(name).map(Object::Route),
            ObjectKind::InboundPolicy => self.policies.remove(name).map(Object::Policy),
            ObjectKind::Pod => self.pods.remove(name).map(Object::Pod),
            ObjectKind::Service => self.services.remove(&service).map(Object::Service),
        };
        if let Some(object) = removed {
            self.unlink(&object, affected);
        }
    }

    /// Makes these objects, and no others, the index's content.
    pub fn reset(&mut self, objects: Vec<Object>, affected: &mut Affected) {
        let kept: BTreeSet<ObjectKey> = objects.iter().map(Object::key).collect();
        for key in self.keys().filter(|key| !kept.contains(key)).collect::<Vec<_>>() {
            self.delete(&key, affected);
        }
        for object in objects {
            self.apply(object, affected);
        }
    }

    /// Every object's key.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        let key = |kind| move |name: &ObjectName| ObjectKey { kind, name: name.clone() };
        let services = self.services.keys().map(|name| ObjectKey { kind: ObjectKind::Service, name: name.into() });
        services
            .chain(self.slices.keys().map(key(ObjectKind::EndpointSlice)))
            .chain(self.pods.keys().map(key(ObjectKind::Pod)))
            .chain(self.routes.keys().map(key(ObjectKind::HttpRoute)))
            .chain(self.policies.keys().map(key(ObjectKind::InboundPolicy)))
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: ObjectKind) -> usize {
        match kind {
            ObjectKind::EndpointSlice => self.slices.len(),
            ObjectKind::HttpRoute => self.routes.len(),
            ObjectKind::InboundPolicy => self.policies.len(),
            ObjectKind::Pod => self.pods.len(),
            ObjectKind::Service => self.services.len(),
        }
    }

    /// Every Service.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// One Service.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    /// Every pod.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }

    /// One pod.
    pub fn pod(&self, name: &ObjectName) -> Option<&Pod> {
        self.pods.get(name)
    }

    /// Every route.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// Every policy.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// The pods that say that they have this address, all of them: a stale object may linger beside a new one.
    pub fn pods_at(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        named(&self.pods_at, &address).filter_map(|name| self.pods.get(name))
    }

    /// A Service's slices.
    pub fn slices_of(&self, service: &ServiceName) -> impl Iterator<Item = &Slice> {
        named(&self.slices_of, service).filter_map(|name| self.slices.get(name))
    }

    /// Routes that name the Service as a parent.
    pub fn routes_for(&self, service: &ServiceName) -> impl Iterator<Item = &Route> {
        named(&self.routes_for, service).filter_map(|name| self.routes.get(name))
    }

    /// Services that select the pod.
    pub fn services_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Service> {
        let namespace = pod.name.namespace.clone();
        let first = ServiceName { namespace: namespace.clone(), name: "".into() };
        self.services
            .range(first..)
            .map(|(_, service)| service)
            .take_while(move |service| service.name.namespace == namespace)
            .filter(|service| !service.selector.is_empty() && has_all(&pod.labels, &service.selector))
    }

    /// Policies that select the pod.
    pub fn policies_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Policy> {
        in_namespace(&self.policies, &pod.name.namespace).filter(|policy| policy.pods.matches(&pod.labels))
    }

    /// Blocks (/24 and /112) in which some Service or pod has an address.
    pub fn blocks(&self) -> impl Iterator<Item = IpNet> {
        self.blocks.keys().copied()
    }

    fn holds(&self, object: &Object) -> bool {
        match object {
            Object::Slice(slice) => self.slices.get(&slice.name) == Some(slice),
            Object::Route(route) => self.routes.get(&route.name) == Some(route),
            Object::Policy(policy) => self.policies.get(&policy.name) == Some(policy),
            Object::Pod(pod) => self.pods.get(&pod.name) == Some(pod),
            Object::Service(service) => self.services.get(&service.name) == Some(service),
        }
    }

    /// Enters a new object into the ways to find it. It affects what it can be found by now.
    fn link(&mut self, object: &Object, affected: &mut Affected) {
        for address in addresses(object) {
            affected.blocks |= self.enter_block(address);
        }
        match object {
            Object::Slice(slice) => {
                enter(&mut self.slices_of, slice.service.clone(), &slice.name);
                slice.endpoints.iter().for_each(|one| enter(&mut self.slices_at, one.address, &slice.name));
            }
            Object::Route(route) => {
                route.parents.iter().for_each(|one| enter(&mut self.routes_for, one.service.clone(), &route.name));
                backends(route).for_each(|service| enter(&mut self.routes_to, service.clone(), &route.name));
            }
            Object::Pod(pod) => pod.addresses.iter().for_each(|one| enter(&mut self.pods_at, *one, &pod.name)),
            Object::Policy(_) | Object::Service(_) => {}
        }
        self.mark(object, affected);
    }

    /// The reverse of [`Index::link`]. It affects what it could be found by until now.
    fn unlink(&mut self, object: &Object, affected: &mut Affected) {
        self.mark(object, affected);
        for address in addresses(object) {
            affected.blocks |= self.leave_block(address);
        }
        match object {
            Object::Slice(slice) => {
                leave(&mut self.slices_of, &slice.service, &slice.name);
                slice.endpoints.iter().for_each(|one| leave(&mut self.slices_at, &one.address, &slice.name));
            }
            Object::Route(route) => {
                route.parents.iter().for_each(|one| leave(&mut self.routes_for, &one.service, &route.name));
                backends(route).for_each(|service| leave(&mut self.routes_to, service, &route.name));
            }
            Object::Pod(pod) => pod.addresses.iter().for_each(|one| leave(&mut self.pods_at, one, &pod.name)),
            Object::Policy(_) | Object::Service(_) => {}
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
            Object::Pod(pod) => self.mark_pod(pod, affected),
            Object::Service(service) => self.mark_service(service, affected),
        }
    }

    fn mark_pod(&self, pod: &Pod, affected: &mut Affected) {
        affected.pods.insert(pod.name.clone());
        affected.addresses.extend(&pod.addresses);
        let slices = pod.addresses.iter().flat_map(|address| named(&self.slices_at, address));
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

    fn enter_block(&mut self, address: IpAddr) -> bool {
        let count = self.blocks.entry(block(address)).or_default();
        *count += 1;
        *count == 1
    }

    fn leave_block(&mut self, address: IpAddr) -> bool {
        let block = block(address);
        let Some(count) = self.blocks.get_mut(&block) else { return false };
        *count -= 1;
        *count == 0 && self.blocks.remove(&block).is_some()
    }
}
