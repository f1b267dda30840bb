//! SPIFFE names of workloads: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.

use std::{fmt, str::FromStr, sync::Arc};

/// Service account of the control plane, in whatever namespace it is installed.
const CONTROL_PLANE: &str = "weft-control-plane";

/// A workload's identity. Cheap to clone; compares and hashes as its text, which is canonical.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    trust_domain: usize, // bytes
    namespace: usize,    // bytes
}

/// What a SPIFFE name must look like and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// The four fixed parts are not there, or more follows them.
    #[error("expected spiffe://<trust domain>/ns/<namespace>/sa/<service account>")]
    Shape,
    /// 1 to 255 of a-z, 0-9, '.', '-' and '_'.
    #[error("the trust domain must be 1 to 255 of a-z, 0-9, '.', '-' and '_'")]
    TrustDomain,
    /// RFC 1123: 1 to 63 of a-z, 0-9 and -, neither first nor last a -.
    #[error("the namespace must be an RFC 1123 label")]
    Namespace,
    /// RFC 1123 labels parted by dots, 253 at most.
    #[error("the service account must be an RFC 1123 subdomain")]
    ServiceAccount,
}

impl SpiffeId {
    /// A name from its parts.
    ///
    /// # Errors
    /// The part that Kubernetes or SPIFFE would not allow.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> Result<Self, SpiffeIdError> {
        let of_trust_domain = |b: u8| is_lower_or_digit(b) || matches!(b, b'.' | b'-' | b'_');
        if !(1..=255).contains(&trust_domain.len()) || !trust_domain.bytes().all(of_trust_domain) {
            return Err(SpiffeIdError::TrustDomain);
        }
        if !is_label(namespace) {
            return Err(SpiffeIdError::Namespace);
        }
        if service_account.len() > 253 || !service_account.split('.').all(is_label) {
            return Err(SpiffeIdError::ServiceAccount);
        }
        let text = format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}").into();
        Ok(Self { text, trust_domain: trust_domain.len(), namespace: namespace.len() })
    }

    /// The identity that a control plane in `namespace` must prove.
    ///
    /// # Errors
    /// As [`SpiffeId::new`].
    pub fn control_plane(trust_domain: &str, namespace: &str) -> Result<Self, SpiffeIdError> {
        Self::new(trust_domain, namespace, CONTROL_PLANE)
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.text["spiffe://".len()..][..self.trust_domain]
    }

    /// The Kubernetes namespace.
    pub fn namespace(&self) -> &str {
        &self.text["spiffe:///ns/".len() + self.trust_domain..][..self.namespace]
    }

    /// The Kubernetes service account.
    pub fn service_account(&self) -> &str {
        &self.text["spiffe:///ns//sa/".len() + self.trust_domain + self.namespace..]
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        let mut parts = text.strip_prefix("spiffe://").ok_or(SpiffeIdError::Shape)?.split('/');
        let mut part = || parts.next().ok_or(SpiffeIdError::Shape);
        let (trust_domain, ns, namespace, sa, service_account) = (part()?, part()?, part()?, part()?, part()?);
        if ns != "ns" || sa != "sa" || parts.next().is_some() {
            return Err(SpiffeIdError::Shape);
        }
        Self::new(trust_domain, namespace, service_account)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| is_lower_or_digit(b) || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_gives_back_its_parts_and_its_text() {
        let id: SpiffeId = "spiffe://mesh.local/ns/shop/sa/orders.v2".parse().unwrap();
        assert_eq!((id.trust_domain(), id.namespace(), id.service_account()), ("mesh.local", "shop", "orders.v2"));
        assert_eq!(id, SpiffeId::new("mesh.local", "shop", "orders.v2").unwrap());
        assert_eq!(id.to_string(), "spiffe://mesh.local/ns/shop/sa/orders.v2");
    }

    #[test]
    fn the_control_plane_has_a_service_account_of_its_own() {
        let id = SpiffeId::control_plane("mesh.local", "weft").unwrap();
        assert_eq!(id.as_str(), "spiffe://mesh.local/ns/weft/sa/weft-control-plane");
    }

    #[test]
    fn names_that_are_not_canonical_are_refused() {
        let long = format!("spiffe://{}/ns/a/sa/b", "d".repeat(256));
        for (text, error) in [
            ("", SpiffeIdError::Shape),
            ("https://mesh.local/ns/shop/sa/orders", SpiffeIdError::Shape),
            ("SPIFFE://mesh.local/ns/shop/sa/orders", SpiffeIdError::Shape),
            ("spiffe://mesh.local/ns/shop/sa", SpiffeIdError::Shape),
            ("spiffe://mesh.local/ns/shop/sa/orders/", SpiffeIdError::Shape),
            ("spiffe://mesh.local/sa/shop/ns/orders", SpiffeIdError::Shape),
            ("spiffe:///ns/shop/sa/orders", SpiffeIdError::TrustDomain),
            ("spiffe://Mesh.local/ns/shop/sa/orders", SpiffeIdError::TrustDomain),
            ("spiffe://user@mesh.local:80/ns/shop/sa/orders", SpiffeIdError::TrustDomain),
            (long.as_str(), SpiffeIdError::TrustDomain),
            ("spiffe://mesh.local/ns//sa/orders", SpiffeIdError::Namespace),
            ("spiffe://mesh.local/ns/a.b/sa/orders", SpiffeIdError::Namespace),
            ("spiffe://mesh.local/ns/shop/sa/", SpiffeIdError::ServiceAccount),
            ("spiffe://mesh.local/ns/shop/sa/or%64ers", SpiffeIdError::ServiceAccount),
            ("spiffe://mesh.local/ns/shop/sa/orders?x", SpiffeIdError::ServiceAccount),
            ("spiffe://mesh.local/ns/shop/sa/a..b", SpiffeIdError::ServiceAccount),
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_came(text in "\\PC*|spiffe://[a-z.]{0,4}/ns/[a-z-]{0,4}/sa/[a-z.-]{0,5}/?") {
            if let Ok(id) = text.parse::<SpiffeId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
