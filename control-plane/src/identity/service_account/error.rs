//! Why a service-account token proves nothing; what its holder is told, and what is counted.

use std::net::IpAddr;

use crate::{index::ObjectName, pace::TooMany};

/// A token that proves nothing, or nothing yet.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// It is for another audience.
    #[error("the service-account token is not for audience weft: the sidecar needs a projected token of that audience")]
    Audience,
    /// Its time is over.
    #[error("the service-account token has expired: read the file again, the kubelet replaces it")]
    Expired,
    /// The API server does not know it: forged, of another cluster, or its pod is gone.
    #[error("the API server does not accept the service-account token: it is another cluster's, or its pod is gone")]
    Unknown,
    /// It is a user's.
    #[error("the token is not a service account's")]
    NotServiceAccount,
    /// It would be worth as much anywhere else.
    #[error("the service-account token is bound to no pod: a projected token is needed, a Secret's will not do")]
    NotBound,
    /// The pod that it is bound to is gone or has ended, or another one of the same name is there.
    #[error("pod {pod}, which the service-account token is bound to, is gone or has ended")]
    PodGone {
        /// Which.
        pod: ObjectName,
    },
    /// Whatever runs on that node has its address.
    #[error("pod {pod} is on the host's network, where an address proves nothing: it cannot be meshed")]
    HostNetwork {
        /// Which.
        pod: ObjectName,
    },
    /// Carried off; or the way to the control plane rewrites source addresses.
    #[error("the service-account token is pod {pod}'s, and {address} is not an address of it")]
    OtherAddress {
        /// Whose token.
        pod: ObjectName,
        /// Where the connection comes from.
        address: IpAddr,
    },
    /// The names make no identity.
    #[error(transparent)]
    Identity(#[from] weft_certs::SpiffeIdError),
    /// The kubelet has not told the API server yet.
    #[error("pod {pod} has no address yet, try again")]
    NoAddress {
        /// Which.
        pod: ObjectName,
    },
    /// Too many tokens at once.
    #[error("too many tokens are to be reviewed at once: {0}")]
    Busy(#[from] TooMany),
    /// One at a time.
    #[error("another token from {address} is being reviewed")]
    InLine {
        /// Where both come from.
        address: IpAddr,
    },
    /// The API server is away, or does not let us ask.
    #[error("the API server cannot be asked about the token or its pod")]
    Api(#[source] Box<kube::Error>),
    /// The API server does not answer.
    #[error("the API server does not answer in time")]
    Late,
}

impl TokenRefused {
    /// Whether the same token may be accepted soon.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoAddress { .. } | Self::Busy(_) | Self::InLine { .. } | Self::Api(_) | Self::Late => true,
            Self::Audience
            | Self::Expired
            | Self::Unknown
            | Self::NotServiceAccount
            | Self::NotBound
            | Self::PodGone { .. }
            | Self::HostNetwork { .. }
            | Self::OtherAddress { .. }
            | Self::Identity(_) => false,
        }
    }

    /// The reason, as metrics name it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::Unknown => "token_unknown",
            Self::NotServiceAccount => "token_not_service_account",
            Self::NotBound => "token_not_bound",
            Self::PodGone { .. } => "pod_gone",
            Self::HostNetwork { .. } => "pod_host_network",
            Self::OtherAddress { .. } => "other_address",
            Self::Identity(_) => "no_identity",
            Self::NoAddress { .. } => "pod_without_address",
            Self::Busy(_) | Self::InLine { .. } => "too_many_reviews",
            Self::Api(_) | Self::Late => "api_server",
        }
    }
}
