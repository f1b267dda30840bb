//! What is known of a cluster. Gathered once ([`super::gather`]), judged by rules ([`super::rules`]) that ask nothing.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret};
use kube::core::ObjectMeta;

use crate::cluster;

/// A fact, or why there is none.
pub type Known<T> = Result<T, Unknown>;

/// Why something is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Deadline(Duration),
    /// The API server refused, or could not be asked.
    #[error("{}", cluster::reason(.0))]
    Refused(#[source] kube::Error),
    /// The answer lacks what was asked for.
    #[error("the answer has no {0}")]
    Lacking(&'static str),
}

impl Unknown {
    /// Whether the API server could not answer, rather than would not.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Refused(kube::Error::Api(status)) => status.code >= 500,
            Self::Deadline(_) | Self::Refused(_) => true,
            Self::Lacking(_) => false,
        }
    }

    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Refused(kube::Error::Api(status)) if status.code == 401 => {
                "log in again: the cluster does not take the credentials of this kubeconfig (kubectl config view --minify)"
            }
            Self::Refused(kube::Error::Api(status)) if status.code == 403 => "run this as a user who has that right",
            Self::Refused(kube::Error::Api(status)) if status.code == 404 => "run this again: it has just gone",
            Self::Refused(_) | Self::Deadline(_) => "kubectl cluster-info",
            Self::Lacking(_) => "kubectl version",
        }
    }
}

/// The API server.
#[derive(Debug)]
pub struct Server {
    /// As 1, 34.
    pub version: (u32, u32),
    /// As `v1.34.4`.
    pub name: String,
    /// Its clock.
    pub clock: SystemTime,
    /// Ours, at the same moment.
    pub ours: SystemTime,
}

/// A right that installing, or the control plane, needs.
#[derive(Debug)]
pub struct Right {
    /// As `create clusterroles.rbac.authorization.k8s.io`.
    pub name: String,
    /// Whether the user has it.
    pub allowed: Known<bool>,
}

/// What a pod of Weft says of itself.
#[derive(Debug)]
pub struct Figures {
    /// As namespace/name.
    pub pod: String,
    /// Its metrics in Prometheus' text format.
    pub text: Known<String>,
}

/// All that is known.
#[derive(Debug)]
pub struct Facts {
    /// When it was asked.
    pub now: SystemTime,
    /// The namespace whose workloads are looked at; all where it is none.
    pub namespace: Option<String>,
    /// The API server.
    pub server: Known<Server>,
    /// Rights of the user; asked before an installation only.
    pub rights: Vec<Right>,
    /// Rights of the control plane's account; asked after an installation only.
    pub account: Vec<Right>,
    /// All nodes.
    pub nodes: Known<Vec<Node>>,
    /// All namespaces.
    pub namespaces: Known<Vec<Namespace>>,
    /// Definitions of kinds, named only.
    pub kinds: Known<Vec<ObjectMeta>>,
    /// The control plane's.
    pub deployment: Known<Option<Deployment>>,
    /// The control plane's pods.
    pub replicas: Known<Vec<Pod>>,
    /// The control plane's, by their metrics.
    pub control_plane: Vec<Figures>,
    /// The webhooks.
    pub injector: Known<Option<MutatingWebhookConfiguration>>,
    /// What the API server makes of a labelled pod, without keeping it.
    pub trial: Known<Pod>,
    /// What the webhook serves with.
    pub serving: Known<Option<Secret>>,
    /// The root.
    pub anchor: Known<Option<Secret>>,
    /// What signs leaves.
    pub issuer: Known<Option<Secret>>,
    /// Trust bundles of all namespaces.
    pub bundles: Known<Vec<ConfigMap>>,
    /// All pods of the namespace that have not ended.
    pub pods: Known<Vec<Pod>>,
    /// Some proxies.
    pub proxies: Vec<Figures>,
}
