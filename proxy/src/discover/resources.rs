//! What each kind of resource changes in the picture. A resource is taken whole or not at all.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tracing::{debug, warn};
use weft_api::{AppProtocol, Destination, EndpointView, Key, PodView, Resource, RouteView, ServiceName, Version, pb};

use super::{
    Picture, RefusedResource,
    directory::Target,
    followed::{FollowedPort, entry},
    picture::protocol,
};
use crate::{
    address::EndpointAddr,
    balance::{Backend, EndpointSpec, Locality},
    policy::PodTarget,
    retry::Budget,
    route::RouteTable,
};

impl Picture {
    /// Takes a resource as it came. One that is refused is logged here; the last good one stays.
    pub(super) fn receive(&mut self, wire: pb::Resource) {
        let name = wire.key.as_ref().map(|key| (key.kind().as_str_name(), key.name.clone())).unwrap_or_default();
        let taken = Resource::read(wire)
            .map_err(RefusedResource::from)
            .and_then(|(key, version, resource)| self.apply(key, version, resource));
        if let Err(error) = taken {
            let error: &(dyn std::error::Error + 'static) = &error;
            warn!(kind = name.0, name = name.1, error, "resource refused, the last good one stays");
        }
    }

    /// Takes a resource. One that nobody has subscribed to (any more) is left aside.
    ///
    /// # Errors
    /// [`RefusedResource`]: nothing has changed.
    pub fn apply(&mut self, key: Key, version: Version, resource: Resource) -> Result<(), RefusedResource> {
        let on_demand = matches!(key, Key::Endpoints(_) | Key::Routes(_) | Key::Workload(_));
        if on_demand && !self.subscriptions.contains(&key) {
            return Ok(());
        }
        match (&key, resource) {
            (Key::Cluster, Resource::Cluster(cluster)) => {
                self.cluster = Some(Arc::new(cluster));
                self.changed.list = true;
            }
            (Key::Service(name), Resource::Service(service)) => {
                self.services.insert(name.clone(), service);
                self.changed.list = true;
            }
            (Key::Endpoints(destination), Resource::Endpoints(views)) => self.take_endpoints(destination, views)?,
            (Key::Routes(destination), Resource::Routes(views)) => self.take_routes(destination, views)?,
            (Key::Workload(address), Resource::Workload(view)) => self.take_pod(*address, view)?,
            (Key::Inbound, Resource::Inbound(view)) => {
                self.relocate(&Locality { node: view.node.as_str().into(), zone: view.zone.as_str().into() });
                self.directory.inbound().update(view);
            }
            (Key::TrustBundle, Resource::TrustBundle(bundle)) => {
                self.directory.trust.send_replace(Some(Arc::new(bundle)));
            }
            _ => return Err(RefusedResource::Kind),
        }
        self.have.insert(key.clone(), version);
        self.applied.insert(key, version);
        Ok(())
    }

    /// The resource does not exist (any more).
    pub fn removed(&mut self, key: &Key) {
        match key {
            // Every pod has a policy and every mesh a bundle and ranges: their absence is an error of the control
            // plane, and the last good one is safer than none.
            Key::Cluster | Key::Inbound | Key::TrustBundle => {
                warn!(?key, "the control plane no longer has it, the last one stays");
                return;
            }
            Key::Service(name) => self.changed.list |= self.services.remove(name).is_some(),
            Key::Endpoints(destination) => self.set_endpoints(destination, Vec::new()),
            Key::Routes(destination) => {
                if let Err(error) = self.take_routes(destination, Vec::new()) {
                    debug!(%error, "no routes, which cannot be refused");
                }
            }
            Key::Workload(address) => self.lose_pod(*address),
        }
        self.forget(key);
    }

    fn take_endpoints(&mut self, destination: &Destination, views: Vec<EndpointView>) -> Result<(), RefusedResource> {
        let spec = |view: EndpointView| {
            let address = view.address;
            EndpointSpec::try_from(view).map_err(|source| RefusedResource::Identity { address, source })
        };
        let specs = views.into_iter().map(spec).collect::<Result<_, _>>()?;
        self.set_endpoints(destination, specs);
        Ok(())
    }

    fn set_endpoints(&mut self, destination: &Destination, specs: Vec<EndpointSpec>) {
        self.changed.targets |= self.backends.update(destination, specs, &self.locality);
    }

    fn take_routes(&mut self, destination: &Destination, views: Vec<RouteView>) -> Result<(), RefusedResource> {
        let Self { backends, services, subscriptions, followed, .. } = self;
        let Some(service) = followed.services.get_mut(destination) else { return Ok(()) };
        let mut named: HashMap<Destination, Arc<Backend>> = HashMap::new();
        let table = RouteTable::new(views, |to| {
            let hold = || backends.hold(to, protocol(services, to), subscriptions);
            Arc::clone(named.entry(to.clone()).or_insert_with(hold))
        });
        let mut released: Vec<_> = named.into_keys().collect();
        let taken = table.map(|table| {
            self.changed.targets = true;
            std::mem::swap(&mut released, &mut service.routed_to);
            service.policy.follow(table);
        });
        released.iter().for_each(|backend| self.release(backend));
        Ok(taken?)
    }

    fn take_pod(&mut self, address: IpAddr, view: PodView) -> Result<(), RefusedResource> {
        let Some(pod) = self.followed.pods.get_mut(&address) else { return Ok(()) };
        let before = pod.view.replace(view);
        let taken = self.aim_at_pod(address);
        if taken.is_err()
            && let Some(pod) = self.followed.pods.get_mut(&address)
        {
            pod.view = before;
        }
        taken
    }

    fn lose_pod(&mut self, address: IpAddr) {
        let Some(pod) = self.followed.pods.get_mut(&address) else { return };
        pod.view = None;
        for followed in pod.ports.values_mut() {
            followed.lose();
        }
        self.changed.targets = true;
    }

    /// Makes the targets of a pod's ports what its view says.
    pub(super) fn aim_at_pod(&mut self, ip: IpAddr) -> Result<(), RefusedResource> {
        let clock = self.directory.clock();
        let Some(pod) = self.followed.pods.get_mut(&ip) else { return Ok(()) };
        let Some(view) = &pod.view else { return Ok(()) };
        let identity = view
            .identity
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|source| RefusedResource::Identity { address: SocketAddr::new(ip, 0), source })?;
        for (port, followed) in &mut pod.ports {
            let (protocol, service) = declared(view, *port);
            if !followed.is(view, service.as_ref()) {
                followed.lose();
                let settings = self.settings.balance;
                let backend = Arc::new(Backend::new(name(view, service.as_ref(), *port), protocol, settings));
                let budget = Budget::new(self.settings.budget);
                let (namespace, pod) = (view.namespace.as_str().into(), view.pod.as_str().into());
                let target = Arc::new(PodTarget { backend, budget, namespace, pod, service });
                let entry = entry(Target::Pod(Arc::clone(&target)), clock);
                followed.known = Some((target, entry));
            }
            let Some((target, _)) = &followed.known else { continue };
            target.backend.declare(protocol);
            target.backend.balancer.update(vec![EndpointSpec {
                addr: EndpointAddr(SocketAddr::new(ip, *port)),
                identity: identity.clone(),
                weight: 1,
                zone: "".into(),
                node: "".into(),
                zone_hints: Vec::new(),
                node_hints: Vec::new(),
                terminating: false,
                node_local: false,
                pod: format!("{}/{}", view.namespace, view.pod).into(),
                far: false,
            }]);
        }
        self.changed.targets = true;
        Ok(())
    }
}

impl FollowedPort {
    /// Whether the target stands for this pod and Service.
    fn is(&self, view: &PodView, service: Option<&ServiceName>) -> bool {
        self.known.as_ref().is_some_and(|(target, _)| {
            *target.namespace == *view.namespace && *target.pod == *view.pod && target.service.as_ref() == service
        })
    }

    /// The pod is gone, or another one: who still holds the target gets no endpoint from it.
    fn lose(&mut self) {
        if let Some((target, _)) = self.known.take() {
            target.backend.balancer.update(Vec::new());
        }
    }
}

/// What is declared about a pod's port; an undeclared one may be called all the same.
fn declared(view: &PodView, port: u16) -> (AppProtocol, Option<ServiceName>) {
    let declared = view.ports.iter().find(|declared| declared.port == port);
    declared.map_or((AppProtocol::Detect, None), |declared| (declared.protocol, declared.service.clone()))
}

/// What a pod's port is called as a destination: by its Service, or else by its own name.
fn name(view: &PodView, service: Option<&ServiceName>, port: u16) -> Destination {
    let own = || ServiceName { namespace: view.namespace.as_str().into(), name: view.pod.as_str().into() };
    Destination { service: service.cloned().unwrap_or_else(own), port }
}
