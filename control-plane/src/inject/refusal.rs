//! Why a pod is refused, why it is left without a sidecar, and what is said to whoever made it.

use super::{AnnotationError, PROXY_UID, object::Reserved};

/// A pod that must not start as it is. The message goes to whoever made the pod: it says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else was sent.
    #[error("the object has no spec.containers, so it is no Pod")]
    NotAPod,
    /// The injector's mark without its sidecar: the control plane would take the pod for a meshed one.
    #[error(
        "the annotation weft.dev/injected is set by the injector alone, and there is no sidecar in this pod: remove it \
         (export the Deployment rather than the pod, if it came from a cluster)"
    )]
    FalseClaim,
    /// A name that the injector needs.
    #[error("the name {name} is the injector's own: call that {what} something else")]
    Reserved {
        /// Container or volume.
        what: Reserved,
        /// Its name.
        name: &'static str,
    },
    /// Connections of this container would pass by the proxy.
    #[error(
        "container {container} would run as uid {PROXY_UID}, which is the proxy's, and so escape the mesh: set another \
         {field}.securityContext.runAsUser"
    )]
    ProxyUid {
        /// The container.
        container: String,
        /// Where the uid is set: `spec`, or the container's path.
        field: String,
    },
    /// Two listeners on one port of the pod.
    #[error("container {container} declares port {port}, which is one of the proxy's own: let it listen on another")]
    PortTaken {
        /// The container.
        container: String,
        /// The port.
        port: u64,
    },
    /// Annotations that mean nothing.
    #[error("{}", join(.0))]
    Annotations(Vec<AnnotationError>),
}

fn join(errors: &[AnnotationError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a pod that the injector was asked about stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It has its sidecar.
    AlreadyInjected,
    /// It says so.
    Disabled,
    /// Its network is the node's: interception would take the node's connections too.
    HostNetwork,
    /// The kubelet started it, whatever the API server thinks.
    Static,
    /// There is no proxy for Windows.
    Windows,
}

impl Skip {
    /// What whoever made the pod should know. None: it is what was asked for.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::AlreadyInjected | Self::Disabled => None,
            Self::HostNetwork => Some("not meshed: a pod with hostNetwork has no network of its own to intercept"),
            Self::Static => Some("not meshed: a static pod is started by the kubelet as its file says"),
            Self::Windows => Some("not meshed: there is no proxy for Windows"),
        }
    }
}

/// What whoever made an injected pod should know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The pod will most likely be refused after the injector has let it pass.
    #[error(
        "namespace {namespace} enforces Pod Security {level}, which refuses NET_ADMIN of weft-redirect: label it \
         pod-security.kubernetes.io/enforce=privileged"
    )]
    PodSecurity {
        /// The namespace.
        namespace: String,
        /// What it enforces.
        level: String,
    },
    /// The control plane's name is one of the cluster's DNS.
    #[error(
        "dnsPolicy {policy} does not ask the cluster's DNS, by which the proxy finds the control plane: it may never be ready"
    )]
    DnsPolicy {
        /// As it was given.
        policy: String,
    },
    /// The proxy is not scraped by annotations.
    #[error("prometheus.io annotations are the app's and stay: scrape the proxy by its port named weft-admin")]
    AppScraped,
    /// The kubelet has no identity.
    #[error(
        "{hook} of container {container} is called by the kubelet, which a policy that demands mTLS refuses: use exec"
    )]
    LifecycleHook {
        /// The container.
        container: String,
        /// `postStart` or `preStop`.
        hook: &'static str,
    },
}
