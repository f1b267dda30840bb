//! The small parts that the index's ways to find objects are made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_api::ServiceName;

use super::{BackendRef, Object, ObjectName, Route, Slice};

/// Names of objects by what they are found by.
pub(super) type NamesBy<K> = BTreeMap<K, BTreeSet<ObjectName>>;

pub(super) fn addresses(object: &Object) -> impl Iterator<Item = IpAddr> {
    let addresses: &[IpAddr] = match object {
        Object::Service(service) => &service.addresses,
        Object::Pod(pod) => &pod.addresses,
        Object::Slice(_) | Object::Route(_) | Object::Policy(_) | Object::Node(_) => &[],
    };
    addresses.iter().copied()
}

pub(super) fn backends(route: &Route) -> impl Iterator<Item = &ServiceName> {
    route.rules.iter().flat_map(|rule| &rule.backends).filter_map(|backend| match backend {
        BackendRef::Service { service, .. } => Some(service),
        BackendRef::Invalid { .. } => None,
    })
}

pub(super) fn named_pods(slice: &Slice) -> impl Iterator<Item = &ObjectName> {
    slice.endpoints.iter().filter_map(|endpoint| endpoint.pod.as_ref())
}

/// Small enough to take in few neighbours, large enough that a cluster is a handful of them once merged.
pub(super) fn block(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(address) => Ipv4Net::new_assert(address, 24).trunc().into(),
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 112).trunc().into(),
    }
}

pub(super) fn in_namespace<'a, T>(
    objects: &'a BTreeMap<ObjectName, T>,
    namespace: &'a str,
) -> impl Iterator<Item = &'a T> {
    let of_namespace = move |(name, _): &(&ObjectName, _)| &*name.namespace == namespace;
    objects.range(ObjectName::new(namespace, "")..).take_while(of_namespace).map(|(_, object)| object)
}

pub(super) fn named<'a, K: Ord>(names: &'a NamesBy<K>, key: &K) -> impl Iterator<Item = &'a ObjectName> + use<'a, K> {
    names.get(key).into_iter().flatten()
}

pub(super) fn enter<K: Ord>(names: &mut NamesBy<K>, key: K, name: &ObjectName) {
    names.entry(key).or_default().insert(name.clone());
}

pub(super) fn leave<K: Ord>(names: &mut NamesBy<K>, key: &K, name: &ObjectName) {
    let Some(set) = names.get_mut(key) else { return };
    set.remove(name);
    if set.is_empty() {
        names.remove(key);
    }
}
