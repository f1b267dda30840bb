//! Inbound policy of one pod: who may call which of its ports, and how.

use crate::{AppProtocol, InvalidResource, ServiceName, name::parse, pb, resource::port};

/// Policy of the proxy's own pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundView {
    /// Ports that a Service, the pod or a policy names.
    pub ports: Vec<InboundPort>,
    /// For every other port.
    pub default_rule: InboundRule,
    /// The node that the pod runs on, or empty.
    pub node: String,
    /// That node's topology zone, or empty.
    pub zone: String,
}

/// One port of the pod.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundPort {
    /// The app's port, 1–65535.
    pub port: u16,
    /// What it speaks, as declared.
    pub protocol: AppProtocol,
    /// A Service that leads there, for metrics.
    pub service: Option<ServiceName>,
    /// Who may call it.
    pub rule: InboundRule,
}

/// What remains of all policies that select a port: the strictest has won. The default lets everyone in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundRule {
    /// Plaintext is refused.
    pub require_mtls: bool,
    /// A client must be in every one of these sets; none: any client.
    pub all_of: Vec<ClientSet>,
    /// The policies' names, for messages.
    pub policy: String,
}

/// Clients of which one pattern must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSet(pub Vec<ClientPattern>);

/// A namespace and a service account; `*` is any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientPattern {
    /// The client's namespace, or `*`.
    pub namespace: String,
    /// The client's service account, or `*`.
    pub service_account: String,
}

impl ClientPattern {
    /// Whether a client of this namespace and service account is meant.
    pub fn matches(&self, namespace: &str, service_account: &str) -> bool {
        let one = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        one(&self.namespace, namespace) && one(&self.service_account, service_account)
    }
}

impl InboundRule {
    /// Whether a client with this verified identity (None: unverified) may call.
    pub fn allows(&self, client: Option<(&str, &str)>) -> bool {
        let Some((namespace, account)) = client else {
            return !self.require_mtls && self.all_of.is_empty();
        };
        self.all_of.iter().all(|set| set.0.iter().any(|pattern| pattern.matches(namespace, account)))
    }
}

impl TryFrom<pb::Inbound> for InboundView {
    type Error = InvalidResource;

    fn try_from(inbound: pb::Inbound) -> Result<Self, InvalidResource> {
        Ok(Self {
            ports: inbound.ports.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            default_rule: inbound.default_rule.unwrap_or_default().into(),
            node: inbound.node,
            zone: inbound.zone,
        })
    }
}

impl From<InboundView> for pb::Inbound {
    fn from(inbound: InboundView) -> Self {
        Self {
            ports: inbound.ports.into_iter().map(Into::into).collect(),
            default_rule: Some(inbound.default_rule.into()),
            node: inbound.node,
            zone: inbound.zone,
        }
    }
}

impl TryFrom<pb::InboundPort> for InboundPort {
    type Error = InvalidResource;

    fn try_from(wire: pb::InboundPort) -> Result<Self, InvalidResource> {
        Ok(Self {
            port: port("inbound.port", wire.port)?,
            protocol: wire.protocol().try_into()?,
            service: if wire.service.is_empty() { None } else { Some(parse(&wire.service)?) },
            rule: wire.rule.unwrap_or_default().into(),
        })
    }
}

impl From<InboundPort> for pb::InboundPort {
    fn from(view: InboundPort) -> Self {
        Self {
            port: view.port.into(),
            protocol: pb::AppProtocol::from(view.protocol).into(),
            service: view.service.map_or_else(String::new, |service| service.to_string()),
            rule: Some(view.rule.into()),
        }
    }
}

impl From<pb::InboundRule> for InboundRule {
    fn from(rule: pb::InboundRule) -> Self {
        let pattern =
            |p: pb::ClientPattern| ClientPattern { namespace: p.namespace, service_account: p.service_account };
        let set = |set: pb::ClientSet| ClientSet(set.patterns.into_iter().map(pattern).collect());
        Self {
            require_mtls: rule.require_mtls,
            all_of: rule.all_of.into_iter().map(set).collect(),
            policy: rule.policy,
        }
    }
}

impl From<InboundRule> for pb::InboundRule {
    fn from(rule: InboundRule) -> Self {
        let pattern =
            |p: ClientPattern| pb::ClientPattern { namespace: p.namespace, service_account: p.service_account };
        let set = |set: ClientSet| pb::ClientSet { patterns: set.0.into_iter().map(pattern).collect() };
        Self {
            require_mtls: rule.require_mtls,
            policy: rule.policy,
            all_of: rule.all_of.into_iter().map(set).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(namespace: &str, account: &str) -> ClientSet {
        ClientSet(vec![ClientPattern { namespace: namespace.into(), service_account: account.into() }])
    }

    #[test]
    fn a_client_must_be_in_every_set() {
        let rule = InboundRule { all_of: vec![set("shop", "*"), set("*", "web")], ..Default::default() };
        assert!(rule.allows(Some(("shop", "web"))));
        assert!(!rule.allows(Some(("shop", "job"))));
        assert!(!rule.allows(Some(("other", "web"))));
        assert!(!rule.allows(None), "who is not known cannot be in a set");
    }

    #[test]
    fn plaintext_is_refused_only_where_mtls_is_demanded() {
        assert!(InboundRule::default().allows(None));
        let strict = InboundRule { require_mtls: true, ..Default::default() };
        assert!(!strict.allows(None));
        assert!(strict.allows(Some(("any", "one"))));
    }
}
