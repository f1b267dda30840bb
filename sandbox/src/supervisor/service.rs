//! Services and the addresses that they are given.

use std::net::IpAddr;

use super::state::StartError;
use crate::address::{AddressPair, Allocator};
use crate::manifest;

/// A Service and the addresses that it was given.
pub(super) struct Service {
    pub(super) spec: manifest::Service,
    /// `None` where it is headless.
    pub(super) address: Option<AddressPair>,
}

impl Service {
    /// Its ClusterIPs, of the families that it asks for.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let families = self.spec.families;
        let v4 = self.address.filter(|_| families.v4).map(|pair| IpAddr::V4(pair.v4));
        let v6 = self.address.filter(|_| families.v6).map(|pair| IpAddr::V6(pair.v6));
        v4.into_iter().chain(v6).collect()
    }
}

/// Gives every Service its addresses: first those that ask for one, so that nobody else gets it.
pub(super) fn assign(specs: &[manifest::Service]) -> Result<Vec<Service>, StartError> {
    let mut allocator = Allocator::services();
    let mut services = Vec::new();
    for spec in specs {
        let mut address = None;
        for wanted in &spec.wanted {
            if address.is_some_and(|pair: AddressPair| IpAddr::V4(pair.v4) == *wanted || IpAddr::V6(pair.v6) == *wanted)
            {
                continue;
            }
            let service = format!("{}/{}", spec.namespace, spec.name);
            let taken = allocator.reserve(*wanted);
            address = Some(taken.ok_or(StartError::ServiceAddress { service, address: *wanted })?);
        }
        services.push(Service { spec: spec.clone(), address });
    }
    for service in services.iter_mut().filter(|service| !service.spec.headless && service.address.is_none()) {
        service.address = Some(allocator.take()?);
    }
    Ok(services)
}
