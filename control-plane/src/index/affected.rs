//! What a change touches: the least that has to be resolved again.

use std::{collections::BTreeSet, net::IpAddr};

use weft_api::ServiceName;

use super::ObjectName;

/// What has to be resolved again after changes. It may name too much, never too little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Services whose place in the list, endpoints or routes may differ.
    pub services: BTreeSet<ServiceName>,
    /// Addresses whose pod may differ.
    pub addresses: BTreeSet<IpAddr>,
    /// Pods whose inbound policy may differ.
    pub pods: BTreeSet<ObjectName>,
    /// The blocks of addresses in use differ.
    pub blocks: bool,
    /// The namespaces with sidecars differ.
    pub meshed: bool,
}

impl Affected {
    /// Whether nothing is affected.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
