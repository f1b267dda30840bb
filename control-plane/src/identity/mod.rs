//! Identity: the certificate authority, and who a caller proves to be.
//!
//! Keys live in the state folder, readable by its owner alone. The certificates themselves are made in `weft-certs`;
//! who may have which one is decided here.

mod authority;
mod caller;
mod files;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use authority::{Authority, AuthorityError, AuthoritySettings, CertifyError, Issued};
pub use caller::{Caller, ProofError};
