//! Why a resource from the wire is refused. One enum: a resource is taken whole or not at all.

use std::net::AddrParseError;

use crate::NameError;

/// What is wrong with a resource that the other side sent.
#[derive(Debug, thiserror::Error)]
pub enum InvalidResource {
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A name has the wrong form.
    #[error("name {text:?} is invalid")]
    Name {
        /// What was sent.
        text: String,
        /// Which rule it broke.
        source: NameError,
    },
    /// An address is not one.
    #[error("address {text:?} is invalid")]
    Address {
        /// What was sent.
        text: String,
        /// The parser's word.
        source: AddrParseError,
    },
    /// A range is not in CIDR form.
    #[error("address range {text:?} is invalid")]
    Range {
        /// What was sent.
        text: String,
        /// The parser's word.
        source: ipnet::AddrParseError,
    },
    /// A number lies outside of what its field may hold.
    #[error("{value} is out of range for {field}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What was sent.
        value: u64,
    },
    /// A kind or enum value that this release does not know.
    #[error("{field} has a value that this release does not know")]
    Unknown {
        /// Which field.
        field: &'static str,
    },
}
