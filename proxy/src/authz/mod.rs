//! Authorization (inbound): whether this client may call this port.
//!
//! Decided on the stream's target port and the identity that the mesh connection proved, for HTTP and opaque TCP
//! alike. Which rule holds for a port is `policy`'s; merging several policies into one rule is the control plane's.

use std::fmt;

use weft_api::{ClientSet, InboundRule};
use weft_certs::SpiffeId;

use crate::error::Reason;

/// Why a client may not call a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The client came without mTLS, so its identity is not known.
    #[error("policy {policy} takes meshed clients only on port {port}, and this client came without mTLS")]
    MtlsRequired {
        /// The policies' names.
        policy: String,
        /// The app's port.
        port: u16,
    },
    /// The client is not one of those that may.
    #[error("policy {policy} allows {expected} on port {port}, and this client is {}", Client(.actual.as_ref()))]
    NotAllowed {
        /// The policies' names.
        policy: String,
        /// The app's port.
        port: u16,
        /// Who may.
        expected: Expected,
        /// Who it is; none: it came without mTLS.
        actual: Option<SpiffeId>,
    },
}

/// Clients that may call: one of each set. Prints as `shop/web or shop/*, and */job`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(pub Vec<ClientSet>);

impl Denied {
    /// Why the call fails then.
    pub fn reason(&self) -> Reason {
        match self {
            Self::MtlsRequired { .. } => Reason::MtlsRequired,
            Self::NotAllowed { .. } => Reason::Denied,
        }
    }
}

/// Decides by the rule of the port; `client` is the verified identity, none where there was no mTLS.
///
/// # Errors
/// [`Denied`], whose message may be shown to the client: it names the policy, who may call, and who the client is.
pub fn check(rule: &InboundRule, port: u16, client: Option<&SpiffeId>) -> Result<(), Denied> {
    if rule.allows(client.map(|client| (client.namespace(), client.service_account()))) {
        return Ok(());
    }
    let policy = if rule.policy.is_empty() { "of this pod".to_owned() } else { rule.policy.clone() };
    if client.is_none() && rule.require_mtls {
        return Err(Denied::MtlsRequired { policy, port });
    }
    Err(Denied::NotAllowed { policy, port, expected: Expected(rule.all_of.clone()), actual: client.cloned() })
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, set) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", and " })?;
            if set.0.is_empty() {
                f.write_str("nobody")?;
            }
            for (index, pattern) in set.0.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { " or " })?;
                write!(f, "{}/{}", pattern.namespace, pattern.service_account)?;
            }
        }
        Ok(())
    }
}

struct Client<'a>(Option<&'a SpiffeId>);

impl fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(client) => write!(f, "{client}"),
            None => f.write_str("not known: it came without mTLS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weft_api::ClientPattern;

    use super::*;

    fn set(patterns: &[(&str, &str)]) -> ClientSet {
        let pattern = |(namespace, account): &(&str, &str)| ClientPattern {
            namespace: (*namespace).into(),
            service_account: (*account).into(),
        };
        ClientSet(patterns.iter().map(pattern).collect())
    }

    fn client(namespace: &str, account: &str) -> SpiffeId {
        SpiffeId::new("cluster.local", namespace, account).unwrap()
    }

    fn rule(require_mtls: bool, all_of: Vec<ClientSet>) -> InboundRule {
        InboundRule { require_mtls, all_of, policy: "shop/users".into() }
    }

    #[test]
    fn without_a_policy_everyone_may_call() {
        assert_eq!(check(&InboundRule::default(), 80, None), Ok(()));
        assert_eq!(check(&InboundRule::default(), 80, Some(&client("any", "one"))), Ok(()));
    }

    #[test]
    fn a_denial_names_policy_expected_and_actual() {
        let rule = rule(true, vec![set(&[("shop", "orders"), ("shop", "web")]), set(&[("*", "web")])]);
        let denied = check(&rule, 8080, Some(&client("shop", "orders"))).unwrap_err();
        assert_eq!(denied.reason(), Reason::Denied);
        assert_eq!(
            denied.to_string(),
            "policy shop/users allows shop/orders or shop/web, and */web on port 8080, \
             and this client is spiffe://cluster.local/ns/shop/sa/orders"
        );
    }

    #[test]
    fn plaintext_is_refused_as_such_where_mtls_is_demanded() {
        let denied = check(&rule(true, Vec::new()), 8080, None).unwrap_err();
        assert_eq!(denied.reason(), Reason::MtlsRequired);
        assert!(denied.to_string().contains("without mTLS"), "{denied}");
    }

    #[test]
    fn a_client_without_identity_is_in_no_set() {
        let denied = check(&rule(false, vec![set(&[("*", "*")])]), 8080, None).unwrap_err();
        assert_eq!(denied.reason(), Reason::Denied);
        assert!(denied.to_string().ends_with("not known: it came without mTLS"), "{denied}");
    }

    #[test]
    fn an_empty_set_lets_nobody_in() {
        let denied = check(&rule(false, vec![set(&[])]), 8080, Some(&client("shop", "web"))).unwrap_err();
        assert!(denied.to_string().contains("allows nobody"), "{denied}");
    }

    fn names() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "b", "*"]).prop_map(str::to_owned)
    }

    fn sets() -> impl Strategy<Value = Vec<ClientSet>> {
        let pattern =
            (names(), names()).prop_map(|(namespace, service_account)| ClientPattern { namespace, service_account });
        prop::collection::vec(prop::collection::vec(pattern, 0..3).prop_map(ClientSet), 0..3)
    }

    proptest! {
        #[test]
        fn a_stricter_rule_never_lets_more_in(all_of in sets(), more in sets(), mtls in any::<bool>(), known in any::<bool>()) {
            let client = known.then(|| client("a", "b"));
            let loose = rule(mtls, all_of.clone());
            let strict = rule(true, [all_of, more].concat());
            if check(&strict, 80, client.as_ref()).is_ok() {
                prop_assert_eq!(check(&loose, 80, client.as_ref()), Ok(()));
            }
        }

        #[test]
        fn who_is_let_in_has_a_pattern_in_every_set(all_of in sets()) {
            let client = client("a", "b");
            let expected = all_of.iter().all(|set| set.0.iter().any(|pattern| {
                ["a", "*"].contains(&pattern.namespace.as_str()) && ["b", "*"].contains(&pattern.service_account.as_str())
            }));
            prop_assert_eq!(check(&rule(false, all_of), 80, Some(&client)).is_ok(), expected);
        }
    }
}
