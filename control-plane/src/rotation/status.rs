//! How far a rotation has come and what the certificates are, as the leading replica writes it and `weft identity` reads it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::behind::{Behind, Fleet};
use crate::{
    error::chain,
    identity::{Authority, Place, SecretError, Stage, Stored, StoredRoot},
};

/// Names of who is behind are cut to so many; a ConfigMap holds 1 MiB.
const MOST_NAMES: usize = 200;

/// The state of the identities of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The roots that are trusted.
    pub roots: Vec<CertificateStatus>,
    /// Who signs leaves.
    pub issuer: CertificateStatus,
    /// Whether Weft replaces the issuer by itself, as it has made it and has the root's key.
    pub issuer_is_replaced: bool,
    /// How far a rotation of the root has come.
    pub phase: Phase,
    /// Which request is being carried out, or waits to be.
    pub request: Option<String>,
    /// The last request that was carried out.
    pub done: Option<String>,
    /// Why the request is not carried out.
    pub refused: Option<String>,
    /// Pods beside which a proxy runs.
    pub proxies: usize,
    /// How many, replicas included, do not go by the roots and the issuer that they should go by now.
    pub behind: usize,
    /// The first of them.
    pub names: Vec<Behind>,
}

/// A certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// What it is for.
    pub role: String,
    /// Hex of the SHA-256 of its public key.
    pub id: String,
    /// When it is over.
    pub expires_unix_seconds: u64,
}

/// How far a rotation of the root has come, in the words that people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// None is under way.
    Settled,
    /// It is asked for.
    Requested,
    /// The new root is made known to everyone.
    Trusting,
    /// A new issuer is made under the new root.
    Issuing,
    /// Leaves are renewed under it; the old root goes when the last one is.
    Renewing,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Settled, Self::Requested, Self::Trusting, Self::Issuing, Self::Renewing];

    /// The phase of a stage.
    pub fn of(stage: Stage) -> Self {
        match stage {
            Stage::Settled => Self::Settled,
            Stage::Requested => Self::Requested,
            Stage::Trusting(_) => Self::Trusting,
            Stage::Promoted => Self::Issuing,
            Stage::Renewing => Self::Renewing,
        }
    }

    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Requested => "requested",
            Self::Trusting => "trusting",
            Self::Issuing => "issuing",
            Self::Renewing => "renewing",
        }
    }
}

impl Status {
    pub(super) fn new(
        stored: &Stored,
        authority: &Authority,
        refused: Option<&SecretError>,
        fleet: &Fleet,
        behind: Vec<Behind>,
    ) -> Self {
        let issuer = CertificateStatus {
            role: "issuer".to_owned(),
            id: authority.issuer_id(),
            expires_unix_seconds: unix_seconds(authority.issuer_expiry()),
        };
        Self {
            roots: stored.roots().unwrap_or_default().into_iter().map(root).collect(),
            issuer,
            issuer_is_replaced: authority.issuer_renewal().is_some(),
            phase: Phase::of(stored.stage()),
            request: stored.request().map(str::to_owned),
            done: stored.done().map(str::to_owned),
            refused: refused.map(|error| chain(error)),
            proxies: fleet.live.len(),
            behind: behind.len(),
            names: behind.into_iter().take(MOST_NAMES).collect(),
        }
    }
}

fn root(root: StoredRoot) -> CertificateStatus {
    let role = match root.place {
        Place::Next => "next root",
        Place::Current => "root",
        Place::Previous => "previous root",
    };
    CertificateStatus { role: role.to_owned(), id: root.id, expires_unix_seconds: unix_seconds(root.not_after) }
}

fn unix_seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
