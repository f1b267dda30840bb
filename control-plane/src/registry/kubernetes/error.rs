//! Why a kind cannot be listed or watched for now.

use std::time::Duration;

/// A list or a watch that has failed. It is tried again; until then what is known holds.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The place from which it is watched is no longer kept: everything is listed again.
    #[error("the watch has fallen too far behind, everything is listed again")]
    Expired,
    /// That happens to each watch, right after a fresh list.
    #[error("the API server does not watch from where it has just listed: check its etcd, and what stands before it")]
    AlwaysExpired,
    /// The watch was closed as soon as it was open.
    #[error("the API server ends watches at once")]
    Ended,
    /// It is not allowed.
    #[error("{plural} may not be listed and watched: apply this release's ClusterRole weft-control-plane")]
    Forbidden {
        /// The kind's name in paths.
        plural: &'static str,
        /// The API server's word.
        source: kube::Error,
    },
    /// It is not there. Whether that is so, or said by something before the API server, its discovery tells.
    #[error("{plural} are not found, and it is not sure that they are gone: check what stands before the API server")]
    NotFound {
        /// The kind's name in paths.
        plural: &'static str,
        /// What was answered.
        source: kube::Error,
    },
    /// It answers, but not with what was asked for.
    #[error("the API server refuses")]
    Refused(#[source] kube::Error),
    /// It does not answer.
    #[error("the API server does not answer within {limit:?}")]
    Silent {
        /// How long it was waited for.
        limit: Duration,
    },
    /// It cannot be reached, or has gone away in the middle.
    #[error("the API server cannot be reached")]
    Unreachable(#[source] kube::Error),
}

impl WatchError {
    /// What it is to whoever has asked for this kind.
    pub(super) fn new(plural: &'static str, error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => match status.code {
                403 => Self::Forbidden { plural, source: error },
                404 => Self::NotFound { plural, source: error },
                410 => Self::Expired,
                _ => Self::Refused(error),
            },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Refused(error),
            _ => Self::Unreachable(error),
        }
    }

    /// The kind of failure, as metrics name it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Expired | Self::AlwaysExpired => "expired",
            Self::Ended => "ended",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Refused(_) => "refused",
            Self::Silent { .. } => "silent",
            Self::Unreachable(_) => "unreachable",
        }
    }
}
