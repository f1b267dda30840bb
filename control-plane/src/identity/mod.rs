//! Identity: the certificate authority, and who a caller proves to be.
//!
//! Keys live in a state folder, or on Kubernetes in Secrets. The certificates themselves are made in `weft-certs`; who
//! may have which one is decided here.

mod authority;
mod bootstrap;
mod caller;
mod files;
mod keys;
mod maintain;
mod service_account;
mod status_map;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use authority::{Authority, AuthorityError, AuthoritySettings, Issued, Trust};
pub use bootstrap::{Bootstrap, Spread};
pub use caller::{Caller, ProofError, Proofs, Proven};
pub use keys::{Follower, Keys, Place, REQUESTED, SecretError, Secrets, Stage, Stored, StoredRoot};
pub use maintain::maintain;
pub use service_account::{KnownPod, KnownPods, ServiceAccounts, TokenRefused};
pub use status_map::{STATUS_KEY, STATUS_MAP, StatusError, StatusMap};
