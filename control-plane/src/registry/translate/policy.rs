//! InboundPolicy (`weft.dev/v1`).
//!
//! An unknown field is an error here, not a warning: a policy that is half understood lets in whom it should not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Deserialize;
use weft_api::{ClientPattern, ClientSet};

use super::{Field, Finding, Problem, name};
use crate::index::{Policy, Requirement, Selector};

/// An InboundPolicy as it is written.
#[derive(Clone, Debug, Deserialize)]
pub struct InboundPolicy {
    /// Kubernetes' part.
    pub metadata: ObjectMeta,
    /// Ours.
    #[serde(default)]
    pub spec: InboundPolicySpec,
}

/// Who may call pods, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InboundPolicySpec {
    /// The pods of the policy's namespace that it is for; empty: all.
    #[serde(default)]
    pub pod_selector: LabelSelector,
    /// The pods' ports that it is for; empty: all.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Whether plaintext is refused.
    #[serde(default)]
    pub mode: Mode,
    /// Who may call, as `namespace/service-account`, each of which may be `*`; absent: anyone; empty: nobody.
    pub allowed_clients: Option<Vec<String>>,
}

/// Whether plaintext is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Both are served.
    #[default]
    Permissive,
    /// Plaintext is refused.
    Mtls,
}

/// An InboundPolicy as the index holds it.
///
/// # Errors
/// A part of it is not what it must be.
pub fn policy(policy: &InboundPolicy) -> Result<Policy, Finding> {
    let spec = &policy.spec;
    if let Some(at) = spec.ports.iter().position(|port| *port == 0) {
        let problem = Problem::NotAPort("0".to_owned());
        return Err(Finding { field: Field::new("spec.ports").index(at), problem });
    }
    let patterns = |texts: &Vec<String>| {
        let checked = texts.iter().enumerate().map(|(at, text)| pattern(at, text));
        checked.collect::<Result<_, _>>().map(ClientSet)
    };
    Ok(Policy {
        name: name(&policy.metadata)?,
        pods: selector(&spec.pod_selector)?,
        ports: spec.ports.clone(),
        require_mtls: matches!(spec.mode, Mode::Mtls),
        allowed: spec.allowed_clients.as_ref().map(patterns).transpose()?,
    })
}

fn pattern(at: usize, text: &str) -> Result<ClientPattern, Finding> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let part = |part: &str| part == "*" || (!part.is_empty() && part.bytes().all(allowed));
    match text.split_once('/') {
        Some((namespace, account)) if part(namespace) && part(account) => {
            Ok(ClientPattern { namespace: namespace.to_owned(), service_account: account.to_owned() })
        }
        _ => Err(Finding {
            field: Field::new("spec.allowedClients").index(at),
            problem: Problem::NotAPattern(text.to_owned()),
        }),
    }
}

fn selector(wire: &LabelSelector) -> Result<Selector, Finding> {
    let mut requirements = Vec::new();
    for (at, one) in wire.match_expressions.iter().flatten().enumerate() {
        let (key, values) = (one.key.clone(), one.values.clone().unwrap_or_default());
        requirements.push(match &*one.operator {
            "In" => Requirement::In(key, values),
            "NotIn" => Requirement::NotIn(key, values),
            "Exists" => Requirement::Exists(key),
            "DoesNotExist" => Requirement::DoesNotExist(key),
            other => {
                let field = Field::new("spec.podSelector.matchExpressions").index(at).key("operator");
                return Err(Finding { field, problem: Problem::ValueNotSupported(other.to_owned()) });
            }
        });
    }
    Ok(Selector { labels: wire.match_labels.clone().unwrap_or_default(), requirements })
}
