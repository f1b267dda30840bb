//! The pod that a token is bound to, and whether it is the one that calls.

use std::{net::IpAddr, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::timeout;
use weft_certs::SpiffeId;

use super::{TokenRefused, review::Bound};
use crate::index::ObjectName;

/// How long the API server may take.
const ANSWER: Duration = Duration::from_secs(3);

/// What is known of a pod without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPod {
    /// Tells it from others of the same name.
    pub uid: String,
    /// Its own; none on the host's network.
    pub addresses: Vec<IpAddr>,
}

/// What is known of pods without asking.
pub struct KnownPods {
    /// A pod by its name.
    pub by_name: ByName,
    /// Whether a pod with a sidecar has this address and this identity's namespace and service account.
    pub is_at: IsAt,
}

type ByName = Box<dyn Fn(&ObjectName) -> Option<KnownPod> + Send + Sync>;
type IsAt = Box<dyn Fn(IpAddr, &SpiffeId) -> bool + Send + Sync>;

/// Pods as they are known, and as the API server has them.
pub(super) struct Pods {
    client: Client,
    pub(super) known: KnownPods,
}

impl Pods {
    pub(super) fn new(client: Client, known: KnownPods) -> Self {
        Self { client, known }
    }

    /// Whether the pod that a token is bound to has this address. A pod may be newer than what is known.
    pub(super) async fn check(&self, bound: &Bound, address: IpAddr) -> Result<(), TokenRefused> {
        let is_known = |known: KnownPod| known.uid == bound.pod_uid && known.addresses.contains(&address);
        if (self.known.by_name)(&bound.pod).is_some_and(is_known) {
            return Ok(());
        }
        let name = &bound.pod;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &name.namespace);
        let found = timeout(ANSWER, api.get_opt(&name.name)).await.map_err(|_| TokenRefused::Late)?;
        let found = found.map_err(|error| TokenRefused::Api(Box::new(error)))?;
        let found = found.filter(|pod| pod.metadata.uid.as_ref() == Some(&bound.pod_uid));
        let pod = found.ok_or_else(|| TokenRefused::PodGone { pod: name.clone() })?;
        at(&pod, name, address)
    }
}

fn at(pod: &Pod, name: &ObjectName, address: IpAddr) -> Result<(), TokenRefused> {
    if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
        return Err(TokenRefused::HostNetwork { pod: name.clone() });
    }
    let status = pod.status.as_ref();
    // The object lingers, and somebody else may have its address by now.
    if status.and_then(|status| status.phase.as_deref()).is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase)) {
        return Err(TokenRefused::PodGone { pod: name.clone() });
    }
    let many = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten().map(|one| &one.ip);
    let mut addresses = many.chain(status.and_then(|status| status.pod_ip.as_ref())).peekable();
    if addresses.peek().is_none() {
        return Err(TokenRefused::NoAddress { pod: name.clone() });
    }
    if addresses.any(|text| text.parse() == Ok(address)) {
        return Ok(());
    }
    Err(TokenRefused::OtherAddress { pod: name.clone(), address })
}
