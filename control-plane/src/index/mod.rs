//! The index: every object that the registries know, and the ways to find them.
//!
//! Pure state: no async, no clock, no IO. Registries feed it; `resolve` reads it. Each change says what it affects.

mod affected;
#[cfg(test)]
pub(crate) mod arbitrary;
mod link;
mod lookup;
mod object;
mod rules;
mod selector;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use weft_api::ServiceName;

pub use affected::Affected;
use lookup::{NamesBy, in_namespace, named};
pub use object::{
    ContainerPort, Node, Object, ObjectKey, ObjectKind, ObjectName, Pod, Port, PortRange, Service, Slice,
    SliceEndpoint, SlicePort, TargetPort,
};
pub use rules::{BackendRef, Parent, Policy, Route, Rule};
pub(crate) use selector::has_all;
pub use selector::{Requirement, Selector};

/// Names of namespaces. Cheap to clone.
pub type Namespaces = Arc<BTreeSet<Arc<str>>>;

/// Everything that the registries know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    services: BTreeMap<ServiceName, Service>,
    slices: BTreeMap<ObjectName, Slice>,
    nodes: BTreeMap<ObjectName, Node>,
    pods: BTreeMap<ObjectName, Pod>,
    routes: BTreeMap<ObjectName, Route>,
    policies: BTreeMap<ObjectName, Policy>,
    slices_of: NamesBy<ServiceName>,
    slices_at: NamesBy<IpAddr>,
    slices_naming: NamesBy<ObjectName>,
    pods_at: NamesBy<IpAddr>,
    routes_for: NamesBy<ServiceName>,
    routes_to: NamesBy<ServiceName>,
    /// How many addresses of Services and pods lie in each block.
    blocks: BTreeMap<IpNet, usize>,
    /// How many pods of each namespace have a sidecar, or ask for one.
    meshed: BTreeMap<Arc<str>, usize>,
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
            Object::Node(node) => drop(self.nodes.insert(key.name, node)),
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
            ObjectKind::Node => self.nodes.remove(name).map(Object::Node),
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
            .chain(self.nodes.keys().map(key(ObjectKind::Node)))
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
            ObjectKind::Node => self.nodes.len(),
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

    /// The zone of a node, or empty.
    pub fn zone(&self, node: &str) -> &str {
        self.nodes.get(&ObjectName::new("", node)).map_or("", |node| &node.zone)
    }

    /// Every pod.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }

    /// One pod.
    pub fn pod(&self, name: &ObjectName) -> Option<&Pod> {
        self.pods.get(name)
    }

    /// Namespaces with a pod that has a sidecar, or asks for one.
    pub fn meshed_namespaces(&self) -> Namespaces {
        Arc::new(self.meshed.keys().cloned().collect())
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
            Object::Node(node) => self.nodes.get(&node.name) == Some(node),
            Object::Pod(pod) => self.pods.get(&pod.name) == Some(pod),
            Object::Service(service) => self.services.get(&service.name) == Some(service),
        }
    }
}
