//! What the hub believes, for whoever wants to look: `/snapshot`, and metrics about those who are behind.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
};

use serde::Serialize;
use weft_api::{Destination, pb};

use super::{
    hub::{Hub, State, Stream},
    topic::Topic,
};
use crate::{index::ObjectKind, resolve};

/// Everything that the control plane believes.
#[derive(Debug, Serialize)]
pub struct Picture {
    /// Whether a registry has told of all that is there.
    pub synced: bool,
    /// The trust domain.
    pub trust_domain: String,
    /// The cluster's ranges.
    pub ranges: Vec<String>,
    /// The trust bundle's version.
    pub bundle_version: u64,
    /// How many objects there are, by kind.
    pub objects: BTreeMap<&'static str, usize>,
    /// The Services.
    pub services: Vec<ServicePicture>,
    /// The pods.
    pub pods: Vec<PodPicture>,
    /// Names of the routes.
    pub routes: Vec<String>,
    /// Names of the policies.
    pub policies: Vec<String>,
    /// The proxies' streams.
    pub streams: Vec<StreamPicture>,
}

/// A Service.
#[derive(Debug, Serialize)]
pub struct ServicePicture {
    /// `namespace/name`.
    pub name: String,
    /// ClusterIPs.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<PortPicture>,
}

/// A Service's port.
#[derive(Debug, Serialize)]
pub struct PortPicture {
    /// The port.
    pub port: u16,
    /// What it speaks, as declared.
    pub protocol: String,
    /// Addresses of its endpoints.
    pub endpoints: Vec<EndpointPicture>,
}

/// An endpoint.
#[derive(Debug, Serialize)]
pub struct EndpointPicture {
    /// Address and port.
    pub address: String,
    /// `namespace/name` of its pod, or empty.
    pub pod: String,
    /// The identity that it must prove, when it is meshed.
    pub identity: Option<String>,
}

/// A pod.
#[derive(Debug, Serialize)]
pub struct PodPicture {
    /// `namespace/name`.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its service account.
    pub service_account: String,
    /// Whether a sidecar stands beside it.
    pub meshed: bool,
}

/// A proxy's stream.
#[derive(Debug, Serialize)]
pub struct StreamPicture {
    /// `namespace/name` of its pod.
    pub pod: String,
    /// The proxy's release.
    pub proxy_version: String,
    /// Seconds since it began.
    pub age_seconds: u64,
    /// Keys that it has subscribed to.
    pub subscriptions: usize,
    /// Messages sent on it.
    pub sent: u64,
    /// Keys that wait to be sent.
    pub waiting: usize,
    /// Keys that were sent and have not been said to be applied.
    pub behind: Vec<String>,
    /// Seconds since the oldest of them was sent.
    pub behind_seconds: Option<u64>,
    /// The bundle that the proxy trusts, as it has reported.
    pub bundle_version: Option<u64>,
    /// Whether that is the one of this moment.
    pub bundle_is_current: Option<bool>,
    /// The issuer of its leaf, as it has reported.
    pub leaf_issuer: Option<String>,
    /// When its leaf is over, as it has reported.
    pub leaf_expiry_unix_seconds: Option<i64>,
}

impl Hub {
    /// What the hub believes at this moment.
    pub fn picture(&self) -> Picture {
        let state = self.lock();
        let (index, mesh) = (&state.world.index, &state.world.mesh);
        let cluster = resolve::cluster(index, mesh);
        let pod = |pod: &crate::index::Pod| PodPicture {
            name: pod.name.to_string(),
            addresses: pod.addresses.iter().map(ToString::to_string).collect(),
            service_account: pod.service_account.clone(),
            meshed: pod.meshed,
        };
        let mut streams: Vec<_> =
            state.streams.values().map(|one| stream(one, state.world.trust.bundle.version())).collect();
        streams.sort_by(|one, other| one.pod.cmp(&other.pod));
        Picture {
            synced: self.is_synced(),
            trust_domain: cluster.trust_domain,
            ranges: cluster.ranges.iter().map(ToString::to_string).collect(),
            bundle_version: state.world.trust.bundle.version(),
            objects: ObjectKind::ALL.map(|kind| (kind.as_str(), index.count(kind))).into(),
            services: index.services().map(|one| service(&state, one)).collect(),
            pods: index.pods().map(pod).collect(),
            routes: index.routes().map(|route| route.name.to_string()).collect(),
            policies: index.policies().map(|policy| policy.name.to_string()).collect(),
            streams,
        }
    }

    /// How many topics are kept resolved.
    pub fn live_topics(&self) -> usize {
        self.lock().topics.keys().filter(|topic| !matches!(topic, Topic::Service(_))).count()
    }
}

fn service(state: &State, service: &crate::index::Service) -> ServicePicture {
    let port = |port: &crate::index::Port| {
        let destination = Destination { service: service.name.clone(), port: port.port };
        let endpoints = resolve::endpoints(&state.world.index, &destination, &state.world.mesh).unwrap_or_default();
        let endpoint = |one: weft_api::EndpointView| EndpointPicture {
            address: one.address.to_string(),
            pod: one.pod,
            identity: one.identity,
        };
        PortPicture {
            port: port.port,
            protocol: format!("{:?}", port.protocol).to_lowercase(),
            endpoints: endpoints.into_iter().map(endpoint).collect(),
        }
    };
    ServicePicture {
        name: service.name.to_string(),
        addresses: service.addresses.iter().map(ToString::to_string).collect(),
        ports: service.ports.iter().map(port).collect(),
    }
}

fn stream(stream: &Stream, bundle_version: u64) -> StreamPicture {
    let lag = stream.outbox.lag();
    let report = stream.report.lock().unwrap_or_else(PoisonError::into_inner).clone().map(|(report, _)| report);
    let said = |key: &weft_api::Key| {
        let key = pb::ResourceKey::from(key);
        format!("{} {}", key.kind().as_str_name(), key.name).trim_end().to_owned()
    };
    let mut behind: Vec<String> = lag.unconfirmed.iter().map(said).collect();
    behind.sort();
    StreamPicture {
        pod: stream.pod.to_string(),
        proxy_version: stream.proxy_version.clone(),
        age_seconds: stream.since.elapsed().as_secs(),
        subscriptions: stream.subscriptions.load(Ordering::Relaxed),
        sent: lag.sent,
        waiting: lag.waiting,
        behind,
        behind_seconds: lag.since.map(|since| since.elapsed().as_secs()),
        bundle_version: report.as_ref().map(|report| report.bundle_version),
        bundle_is_current: report.as_ref().map(|report| report.bundle_version == bundle_version),
        leaf_issuer: report.as_ref().map(|report| report.leaf_issuer.clone()),
        leaf_expiry_unix_seconds: report.as_ref().map(|report| report.leaf_expiry_unix_seconds),
    }
}
