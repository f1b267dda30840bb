//! Which proxies, and which replicas, have not taken a step yet.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use weft_api::pb::{Report, ReportsResponse};

use super::{Mesh, ask};
use crate::{
    identity::{Authority, Trust},
    index::ObjectName,
};

/// Somebody who has not taken the last step yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Behind {
    /// `namespace/name` of a pod, the address of a replica of the control plane, or the name of a namespace.
    pub who: String,
    /// In which way.
    pub why: Why,
}

/// In which way somebody is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The proxy has no stream to any replica, or has not said yet what it goes by.
    Silent,
    /// The proxy trusts other roots.
    Bundle,
    /// The proxy's leaf is another issuer's.
    Leaf,
    /// A replica of the control plane does not answer.
    ReplicaSilent,
    /// A replica of the control plane goes by other keys.
    Replica,
    /// The bundle's ConfigMap in a namespace cannot be written: pods that start there do not trust the new root.
    Namespace,
}

impl Why {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "has no stream to the control plane",
            Self::Bundle => "does not trust the same roots yet",
            Self::Leaf => "has a leaf of another issuer",
            Self::ReplicaSilent => "is a replica that does not answer",
            Self::Replica => "is a replica that goes by other keys",
            Self::Namespace => {
                "is a namespace that does not take ConfigMap weft-trust-bundle: a quota, or a policy at admission"
            }
        }
    }
}

/// What all have to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The roots of this moment.
    Bundle,
    /// Those, and a leaf of the issuer of this moment.
    BundleAndLeaf,
}

/// All live proxies, and what they and the replicas say.
pub(super) struct Fleet {
    pub(super) live: Vec<ObjectName>,
    /// The last report of each.
    reports: HashMap<ObjectName, (Report, u64)>,
    /// Other replicas: what they go by.
    replicas: Vec<(String, Option<(u64, String)>)>,
}

impl Fleet {
    /// Asks everyone.
    pub(super) async fn gather(authority: &Authority, mesh: &Mesh) -> Self {
        let mut fleet = Self { live: (mesh.live)(), reports: HashMap::new(), replicas: Vec::new() };
        fleet.take((mesh.reports)());
        for (address, answer) in ask::all(authority, (mesh.replicas)()).await {
            let goes_by = answer.as_ref().map(|answer| (answer.bundle_version, answer.issuer.clone()));
            fleet.replicas.push((address.to_string(), goes_by));
            answer.into_iter().for_each(|answer| fleet.take(answer));
        }
        fleet
    }

    /// A proxy that has moved to another replica has a stream of before somewhere for a while: its newest report counts.
    fn take(&mut self, answer: ReportsResponse) {
        for proxy in answer.proxies {
            let Some(report) = proxy.report else { continue };
            let pod = ObjectName::new(&proxy.namespace, &proxy.pod);
            if self.reports.get(&pod).is_none_or(|(_, age)| proxy.age_ms < *age) {
                self.reports.insert(pod, (report, proxy.age_ms));
            }
        }
    }

    /// Who does not have what all have to have, in order.
    pub(super) fn behind(&self, trust: &Trust, goal: Goal) -> Vec<Behind> {
        let mut behind: Vec<Behind> = Vec::new();
        for pod in &self.live {
            if let Some(why) = self.lacks(pod, trust, goal) {
                behind.push(Behind { who: pod.to_string(), why });
            }
        }
        for (address, goes_by) in &self.replicas {
            let why = match goes_by {
                None => Why::ReplicaSilent,
                Some((bundle, issuer)) if *bundle != trust.bundle.version() || **issuer != *trust.issuer => {
                    Why::Replica
                }
                Some(_) => continue,
            };
            behind.push(Behind { who: address.clone(), why });
        }
        behind.sort();
        behind
    }

    fn lacks(&self, pod: &ObjectName, trust: &Trust, goal: Goal) -> Option<Why> {
        let Some((report, _)) = self.reports.get(pod) else { return Some(Why::Silent) };
        if report.bundle_version != trust.bundle.version() {
            return Some(Why::Bundle);
        }
        (goal == Goal::BundleAndLeaf && *report.leaf_issuer != *trust.issuer).then_some(Why::Leaf)
    }
}
