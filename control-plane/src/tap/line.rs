//! What a tap tells, line by line, in JSON: the words between the control plane and `weft tap`.

use serde::{Deserialize, Serialize};

/// One line. Fields that do not apply are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Tapping {
        /// Proxies that are asked.
        pods: usize,
        /// Pods beyond the most that are asked, and pods without a proxy.
        left_out: usize,
    },
    /// A request has ended.
    Request(Box<Tapped>),
    /// Requests that were wanted and could not be told, since the last line of this kind.
    Dropped {
        /// How many.
        requests: u64,
    },
    /// A proxy that does not tell, or no longer.
    Lost {
        /// Whose.
        pod: String,
        /// Why.
        error: String,
    },
}

/// A request that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tapped {
    /// When it began, by RFC 3339.
    pub time: String,
    /// `inbound` or `outbound`, as the proxy that tells has it.
    pub direction: String,
    /// Who called.
    pub from: Party,
    /// Who was called.
    pub to: Party,
    /// The Service that was called, as `namespace/name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The route's rule that matched.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The method.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// The HTTP status; none if the client got no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    /// The gRPC status, of a call that is gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
    /// Why a proxy answered itself: the value of `weft-proxy-error`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// From the request's head to the end of the answer.
    pub duration_seconds: f64,
}

/// One end of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Party {
    /// The pod, as `namespace/name`, if the address is a pod's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// What the pod is one of: its Deployment, for example.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub workload: String,
    /// Its verified identity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Its address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

impl Party {
    /// Whether it goes by this name: a pod's or a workload's, with or without its namespace and a slash before it.
    pub fn is_called(&self, name: &str) -> bool {
        let Some((namespace, pod)) = self.pod.split_once('/') else { return false };
        let (of, name) = name.split_once('/').unwrap_or((namespace, name));
        of == namespace && (name == pod || name == self.workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_goes_by_the_names_of_its_pod_and_its_workload() {
        let party = Party { pod: "shop/users-1".into(), workload: "users".into(), ..Party::default() };
        for name in ["users-1", "users", "shop/users-1", "shop/users"] {
            assert!(party.is_called(name), "{name}");
        }
        for other in ["user", "other/users", "shop", "shop/", ""] {
            assert!(!party.is_called(other), "{other}");
        }
        assert!(!Party::default().is_called(""));
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let request = Line::Request(Box::new(Tapped { method: "GET".into(), status: Some(200), ..Tapped::default() }));
        for line in [Line::Dropped { requests: 3 }, Line::Tapping { pods: 2, left_out: 0 }, request] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }
}
