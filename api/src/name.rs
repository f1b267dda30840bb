//! Names of Services and destinations, as Kubernetes writes them.

use std::{fmt, str::FromStr, sync::Arc};

use crate::InvalidResource;

/// A Service: `namespace/name`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    /// The Service's namespace, an RFC 1123 label.
    pub namespace: Arc<str>,
    /// The Service's name, an RFC 1123 label.
    pub name: Arc<str>,
}

/// A Service's port, the thing that a client calls: `namespace/name:port`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// The Service.
    pub service: ServiceName,
    /// The Service's port (not the pod's), 1–65535.
    pub port: u16,
}

/// What a name must look like and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A slash parts namespace and name.
    #[error("expected namespace/name")]
    Slash,
    /// RFC 1123: 1 to 63 of a-z, 0-9 and -, neither first nor last a -.
    #[error("namespace and name must be RFC 1123 labels")]
    Label,
    /// A colon and a port of 1–65535 end a destination.
    #[error("expected :port at the end")]
    Port,
}

/// RFC 1123, as Kubernetes checks it; Service names may be up to 63 long, other objects' up to 253 with dots.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

impl ServiceName {
    /// A name from its parts.
    ///
    /// # Errors
    /// [`NameError::Label`] when one of them is not an RFC 1123 label.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        if !is_label(namespace) || !is_label(name) {
            return Err(NameError::Label);
        }
        Ok(Self { namespace: namespace.into(), name: name.into() })
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, name) = text.split_once('/').ok_or(NameError::Slash)?;
        Self::new(namespace, name)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for Destination {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (service, port) = text.rsplit_once(':').ok_or(NameError::Port)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(NameError::Port)?;
        Ok(Self { service: service.parse()?, port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

/// Parses a name that came over the wire.
pub(crate) fn parse<T: FromStr<Err = NameError>>(text: &str) -> Result<T, InvalidResource> {
    text.parse().map_err(|source| InvalidResource::Name { text: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_reads_back_what_it_prints() {
        let destination: Destination = "shop/users:8080".parse().unwrap();
        assert_eq!((&*destination.service.namespace, &*destination.service.name), ("shop", "users"));
        assert_eq!(destination.to_string(), "shop/users:8080");
    }

    #[test]
    fn names_that_kubernetes_would_refuse_are_refused() {
        for (text, error) in [
            ("shop/users", NameError::Port),
            ("shop/users:0", NameError::Port),
            ("shop/users:65536", NameError::Port),
            ("users:80", NameError::Slash),
            ("Shop/users:80", NameError::Label),
            ("shop/-users:80", NameError::Label),
            ("shop/:80", NameError::Label),
            ("shop/a/b:80", NameError::Label),
        ] {
            assert_eq!(text.parse::<Destination>(), Err(error), "{text}");
        }
    }
}
