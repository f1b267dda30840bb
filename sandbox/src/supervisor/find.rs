//! What is there, and what a name means.

use std::rc::Rc;

use super::pod::Pod;
use super::service::Service;
use super::state::Sandbox;
use crate::protocol::{self, Listener, PodName};

/// Which pod a name means.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error("there is no {kind} {name}; `weft sandbox ls` shows what there is")]
    None { kind: &'static str, name: PodName },
    #[error("{kind} {name} is in the namespaces {}: choose one with -n", namespaces.join(" and "))]
    Several { kind: &'static str, name: PodName, namespaces: Vec<String> },
}

impl Sandbox {
    /// The one pod of this name.
    pub(super) fn pod(&self, name: &PodName) -> Result<Rc<Pod>, FindError> {
        let mut pods = self.live();
        pods.extend(self.mesh.as_ref().map(|mesh| mesh.pod.clone()));
        let found = pods.iter().filter(|pod| names(name, &pod.namespace, &pod.name)).cloned();
        one("pod", name, found.map(|pod| (pod.namespace.clone(), pod)).collect())
    }

    /// The index of the one Deployment of this name.
    pub(super) fn deployment(&self, name: &PodName) -> Result<usize, FindError> {
        let manifests = self.manifests.borrow();
        let all = manifests.workloads.iter().enumerate();
        let found = all.filter(|(_, load)| load.replicas.is_some() && names(name, &load.namespace, &load.name));
        one("Deployment", name, found.map(|(index, load)| (load.namespace.clone(), index)).collect())
    }

    pub(super) fn listing(&self) -> protocol::Listing {
        let url = |service: &Service, listener: &Listener| {
            let same = listener.namespace == service.spec.namespace && listener.service == service.spec.name;
            same.then(|| protocol::Url { port: listener.port, url: listener.url.clone() })
        };
        let services = self.services.iter().map(|service| {
            let addresses = service.addresses();
            protocol::Service {
                namespace: service.spec.namespace.clone(),
                name: service.spec.name.clone(),
                address: addresses.first().copied(),
                addresses,
                ports: service.spec.ports.iter().map(|port| port.port).collect(),
                urls: self.listeners.iter().filter_map(|listener| url(service, listener)).collect(),
            }
        });
        protocol::Listing {
            pods: self.live().iter().map(|pod| pod.describe()).collect(),
            services: services.collect(),
            control_plane: self.mesh.as_ref().map(|mesh| mesh.pod.describe()),
        }
    }
}

fn names(name: &PodName, namespace: &str, other: &str) -> bool {
    name.name == other && name.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
}

fn one<T>(kind: &'static str, name: &PodName, mut found: Vec<(String, T)>) -> Result<T, FindError> {
    if found.len() > 1 {
        let namespaces = found.into_iter().map(|(namespace, _)| namespace).collect();
        return Err(FindError::Several { kind, name: name.clone(), namespaces });
    }
    found.pop().map(|(_, item)| item).ok_or_else(|| FindError::None { kind, name: name.clone() })
}
