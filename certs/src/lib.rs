//! Workload identity: who a proxy is, how it proves it, and whom it believes.
//!
//! Names ([`SpiffeId`]), keys and requests ([`KeyPair`], [`CertificateRequest`]), the authority that signs them
//! ([`Root`], [`Issuer`]), what is trusted ([`TrustBundle`]), what is held ([`Leaf`]), when to renew it ([`renew_at`]) and
//! the rustls configs made of all that ([`MeshTls`], [`control_client`], [`control_server`]).
//!
//! Nothing here does IO, reads a clock or knows a runtime: time comes in as an argument, bytes come in and go out.

mod authority;
mod bundle;
mod digest;
#[cfg(test)]
mod fixture;
mod key;
mod leaf;
mod name;
mod peer;
mod renewal;
mod serving;
mod text;
mod tls;
mod validity;

pub use authority::{AuthorityError, IssueError, Issuer, Root};
pub use bundle::{BundleError, TrustBundle};
pub use digest::sha256_hex;
pub use key::{CertificateRequest, KeyError, KeyPair};
pub use leaf::{Leaf, LeafError, Untrusted, key_id};
pub use name::{SpiffeId, SpiffeIdError};
pub use peer::{IdentityError, Peer, identity_of};
pub use renewal::renew_at;
pub use serving::{Serving, ServingAuthority, ServingError, ServingLeaf, common_name, without_expired};
pub use tls::{
    MeshTls, RefusedPeer, TlsError, WrongIdentity, control_client, control_server, refused, unverified_client,
    wrong_identity,
};
pub use validity::{Validity, ValidityError};
