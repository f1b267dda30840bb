//! The short list of all Services, and the cluster's ranges: what tells known, foreign and unanswered apart.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use weft_api::{ClusterView, Destination, ServiceName, ServicePort, ServiceView};

/// A Service in the list.
#[derive(Debug, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: ServiceName,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// The list at one moment. Immutable.
#[derive(Debug, Default)]
pub(super) struct List {
    synced: bool,
    cluster: Option<Arc<ClusterView>>,
    services: HashMap<IpAddr, Arc<Listed>>,
}

/// What the list says about an address.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// A Service's port.
    Service(Destination),
    /// A Service's address, with a port that it does not have.
    Undeclared(ServiceName),
    /// In the cluster's ranges: a pod's, or nobody's.
    Inside,
    /// Outside.
    Outside,
    /// The list is not there.
    Unlisted,
}

impl List {
    pub(super) fn new<'a>(
        synced: bool,
        cluster: Option<Arc<ClusterView>>,
        services: impl Iterator<Item = (&'a ServiceName, &'a ServiceView)>,
    ) -> Self {
        let mut by_address = HashMap::new();
        for (name, view) in services {
            let listed = Arc::new(Listed { name: name.clone(), ports: view.ports.clone() });
            by_address.extend(view.addresses.iter().map(|address| (canonical(*address), Arc::clone(&listed))));
        }
        Self { synced, cluster, services: by_address }
    }

    pub(super) fn place(&self, address: SocketAddr) -> Place {
        let ip = canonical(address.ip());
        if let Some(listed) = self.services.get(&ip) {
            let declared = listed.ports.iter().any(|port| port.port == address.port());
            let service = listed.name.clone();
            return if declared {
                Place::Service(Destination { service, port: address.port() })
            } else {
                Place::Undeclared(service)
            };
        }
        match &self.cluster {
            Some(cluster) if cluster.ranges.iter().any(|range| range.contains(&ip)) => Place::Inside,
            Some(_) if self.synced => Place::Outside,
            Some(_) | None => Place::Unlisted,
        }
    }

    pub(super) fn cluster(&self) -> Option<&Arc<ClusterView>> {
        self.cluster.as_ref()
    }

    pub(super) fn services(&self) -> impl Iterator<Item = (&IpAddr, &Arc<Listed>)> {
        self.services.iter()
    }
}

/// `::ffff:10.0.0.1` is `10.0.0.1`: a dual-stack socket shows the former.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
