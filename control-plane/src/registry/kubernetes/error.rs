//! Why a kind cannot be listed or watched for now.

use std::time::Duration;

/// A list or a watch that has failed. It is tried again; until then what is known holds.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The place from which it is watched is no longer kept: everything is listed again.
    #[error("the watch has fallen too far behind, everything is listed again")]
    Expired,
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
    /// The kind's definition is not there.
    #[error("the cluster has no {plural}")]
    NoSuchKind {
        /// The kind's name in paths.
        plural: &'static str,
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
                404 => Self::NoSuchKind { plural },
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
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Forbidden { .. } => "forbidden",
            Self::NoSuchKind { .. } => "no_such_kind",
            Self::Refused(_) => "refused",
            Self::Silent { .. } => "silent",
            Self::Unreachable(_) => "unreachable",
        }
    }
}
