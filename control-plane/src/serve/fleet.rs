//! Where proxies run, and what they have reported on the streams of this replica: for the replica that rotates the root, and
//! for who checks identities.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use tonic::{Request, Response, Status};
use weft_api::{
    Destination, ServiceName,
    pb::{self, fleet_server::Fleet},
};
use weft_certs::SpiffeId;

use super::{hub::Hub, watch::Services};
use crate::{identity::Caller, index::ObjectName, resolve};

/// The control plane's own Service, as the manifests have it, and its port for proxies.
const SERVICE: &str = "weft-control-plane";
const PORT: u16 = 8443;

/// The gRPC service.
pub(super) struct FleetService {
    pub(super) services: Arc<Services>,
    pub(super) caller: Caller,
}

#[tonic::async_trait]
impl Fleet for FleetService {
    async fn reports(&self, _: Request<pb::ReportsRequest>) -> Result<Response<pb::ReportsResponse>, Status> {
        let identity = self.caller.identity(SystemTime::now());
        let identity = identity.map_err(|error| Status::unauthenticated(error.to_string()))?;
        if !self.services.authority.is_own(identity) {
            return Err(Status::permission_denied(format!("{identity} is not the control plane")));
        }
        Ok(Response::new(self.services.hub.reports()))
    }
}

impl Hub {
    /// What proxies have reported here, and what this replica itself goes by.
    pub fn reports(&self) -> pb::ReportsResponse {
        let state = self.lock();
        let proxies = state.streams.values().filter_map(|stream| {
            let (report, came) = stream.report.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            let age = came.elapsed().unwrap_or_default();
            Some(pb::ProxyReport {
                namespace: stream.pod.namespace.to_string(),
                pod: stream.pod.name.to_string(),
                report: Some(report),
                age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            })
        });
        pb::ReportsResponse {
            bundle_version: state.world.trust.bundle.version(),
            issuer: state.world.trust.issuer.to_string(),
            proxies: proxies.collect(),
        }
    }

    /// Where the replicas of the control plane in this namespace are, as their Service knows them.
    pub fn replicas(&self, namespace: &str) -> Vec<SocketAddr> {
        let service = ServiceName { namespace: namespace.into(), name: SERVICE.into() };
        let state = self.lock();
        let (index, mesh) = (&state.world.index, &state.world.mesh);
        let found = resolve::endpoints(index, &Destination { service, port: PORT }, mesh).unwrap_or_default();
        found.into_iter().map(|endpoint| endpoint.address).collect()
    }

    /// The pods beside which a proxy runs, or may run at any moment.
    pub fn meshed_pods(&self) -> Vec<ObjectName> {
        let state = self.lock();
        let live = state.world.index.pods().filter(|pod| pod.meshed && !pod.addresses.is_empty());
        live.map(|pod| pod.name.clone()).collect()
    }

    /// Whether a pod beside which a proxy runs has this address, and this identity's namespace and service account.
    pub fn has_proxy_at(&self, address: IpAddr, identity: &SpiffeId) -> bool {
        let state = self.lock();
        state.world.index.pods_at(address).any(|pod| {
            let is_in_namespace = *pod.name.namespace == *identity.namespace();
            pod.meshed && is_in_namespace && pod.service_account == identity.service_account()
        })
    }
}
