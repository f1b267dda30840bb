//! How much one address may take of what is for all, before anybody knows who it is.
//!
//! [`PeerCap`] bounds what it holds, [`PeerRate`] how often it asks. The numbers come from `config`.

mod peer;
mod rate;

pub use peer::{PeerCap, PeerPermit};
pub use rate::PeerRate;
