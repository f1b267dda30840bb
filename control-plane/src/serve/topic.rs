//! Topics: what is resolved once and sent to many. A key as the wire knows it, plus what of it differs by client.

use std::{collections::BTreeMap, net::IpAddr, ops::Bound, sync::Arc};

use bytes::Bytes;
use prost::Message as _;
use weft_api::{Destination, Key, Resource, ServiceName, TrustBundleView, Version, pb};

use crate::{
    identity::Trust,
    index::{Affected, Index, ObjectName},
    resolve::{self, Mesh},
};

/// What resources are made of.
pub(super) struct World {
    pub(super) index: Index,
    pub(super) mesh: Mesh,
    pub(super) trust: Trust,
}

/// One thing to resolve. Ordered, so that what belongs to a Service stands together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Topic {
    Cluster,
    TrustBundle,
    Service(ServiceName),
    Endpoints(Destination),
    /// For clients of this namespace.
    Routes(Destination, Arc<str>),
    Workload(IpAddr),
    Inbound(ObjectName),
}

/// An encoded answer. Cheap to clone: the bytes are shared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// None: the resource does not exist.
    pub(super) version: Option<Version>,
    /// A `WatchResponse`.
    pub(super) bytes: Bytes,
}

impl Topic {
    /// What a proxy of this namespace means by a key that it subscribes to. None: that key is not for subscribing.
    pub(super) fn subscribed(key: Key, namespace: &Arc<str>) -> Option<Self> {
        match key {
            Key::Endpoints(destination) => Some(Self::Endpoints(destination)),
            Key::Routes(destination) => Some(Self::Routes(destination, namespace.clone())),
            Key::Workload(address) => Some(Self::Workload(address)),
            Key::Cluster | Key::Service(_) | Key::Inbound | Key::TrustBundle => None,
        }
    }

    /// Whether every stream has it without asking.
    pub(super) fn is_for_everyone(&self) -> bool {
        match self {
            Self::Cluster | Self::TrustBundle | Self::Service(_) => true,
            Self::Endpoints(_) | Self::Routes(..) | Self::Workload(_) | Self::Inbound(_) => false,
        }
    }

    /// As the wire knows it.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Cluster => Key::Cluster,
            Self::TrustBundle => Key::TrustBundle,
            Self::Service(name) => Key::Service(name.clone()),
            Self::Endpoints(destination) => Key::Endpoints(destination.clone()),
            Self::Routes(destination, _) => Key::Routes(destination.clone()),
            Self::Workload(address) => Key::Workload(*address),
            Self::Inbound(_) => Key::Inbound,
        }
    }

    /// The kind, as metrics name it.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::TrustBundle => "trust_bundle",
            Self::Service(_) => "service",
            Self::Endpoints(_) => "endpoints",
            Self::Routes(..) => "routes",
            Self::Workload(_) => "workload",
            Self::Inbound(_) => "inbound",
        }
    }

    /// Resolves and encodes.
    pub(super) fn message(&self, world: &World) -> Message {
        let key = self.key();
        let Some(resource) = self.resolve(world) else { return Message::removed(&key) };
        let content = resource.into_content();
        let version = version_of(&content);
        let resource = pb::Resource { key: Some((&key).into()), version: version.0, content: Some(content) };
        Message { version: Some(version), bytes: encoded(pb::watch_response::Message::Resource(resource)) }
    }

    pub(super) fn resolve(&self, world: &World) -> Option<Resource> {
        let (index, mesh) = (&world.index, &world.mesh);
        match self {
            Self::Cluster => Some(Resource::Cluster(resolve::cluster(index, mesh))),
            Self::TrustBundle => {
                let anchors = world.trust.bundle.anchors().iter().map(|anchor| anchor.as_ref().into()).collect();
                Some(Resource::TrustBundle(TrustBundleView { anchors, issuer: world.trust.issuer.to_string() }))
            }
            Self::Service(name) => resolve::service(index, name).map(Resource::Service),
            Self::Endpoints(destination) => resolve::endpoints(index, destination, mesh).map(Resource::Endpoints),
            Self::Routes(destination, client) => resolve::routes(index, destination, client).map(Resource::Routes),
            Self::Workload(address) => resolve::workload(index, *address, mesh).map(Resource::Workload),
            Self::Inbound(pod) => resolve::inbound(index, pod).map(Resource::Inbound),
        }
    }
}

impl Message {
    /// The answer to a key that nothing is behind.
    pub(super) fn removed(key: &Key) -> Self {
        let removed = pb::Removed { key: Some(key.into()) };
        Self { version: None, bytes: encoded(pb::watch_response::Message::Removed(removed)) }
    }

    /// The end of what everyone gets.
    pub(super) fn synced() -> Bytes {
        encoded(pb::watch_response::Message::Synced(pb::Synced {}))
    }
}

fn version_of(content: &pb::resource::Content) -> Version {
    let mut bytes = Vec::with_capacity(content.encoded_len());
    content.encode(&mut bytes);
    Version::of(&bytes)
}

fn encoded(message: pb::watch_response::Message) -> Bytes {
    pb::WatchResponse { message: Some(message) }.encode_to_vec().into()
}

/// The topics, of those that are live, that a change touches; and the Services, live or not.
pub(super) fn touched<T>(affected: &Affected, live: &BTreeMap<Topic, T>) -> Vec<Topic> {
    let mut topics = Vec::new();
    if affected.blocks {
        topics.push(Topic::Cluster);
    }
    for service in &affected.services {
        topics.push(Topic::Service(service.clone()));
        topics.extend(of_service(service, live).cloned());
    }
    let known = |topic: &Topic| live.contains_key(topic);
    topics.extend(affected.addresses.iter().map(|address| Topic::Workload(*address)).filter(known));
    topics.extend(affected.pods.iter().map(|pod| Topic::Inbound(pod.clone())).filter(known));
    topics
}

fn of_service<'a, T>(service: &'a ServiceName, live: &'a BTreeMap<Topic, T>) -> impl Iterator<Item = &'a Topic> {
    let first = Destination { service: service.clone(), port: 0 };
    let routes = Topic::Routes(first.clone(), "".into());
    let endpoints = live.range((Bound::Included(Topic::Endpoints(first)), Bound::Unbounded));
    let endpoints = endpoints.map(|(topic, _)| topic).take_while(move |topic| match topic {
        Topic::Endpoints(destination) => destination.service == *service,
        _ => false,
    });
    let routes = live.range((Bound::Included(routes), Bound::Unbounded));
    let routes = routes.map(|(topic, _)| topic).take_while(move |topic| match topic {
        Topic::Routes(destination, _) => destination.service == *service,
        _ => false,
    });
    endpoints.chain(routes)
}
