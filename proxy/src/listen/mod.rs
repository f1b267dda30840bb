//! Listening (the first step of both paths): sockets of each worker, the one accept loop, and where a connection
//! wanted to go.
//!
//! Each worker has listeners of its own on the same ports ([`bind`], SO_REUSEPORT). The kernel spreads connections over
//! them by a hash, so a worker that is well ahead of the least loaded hands a new one over ([`crew`]). What a
//! connection carries is found out by `detect`.

mod accept;
mod bind;
mod crew;
mod origin;

pub use accept::{Acceptor, Connection, receive};
pub use bind::{BindError, Listening, bind};
pub use crew::{Inbox, Loads, Member, Presence, crew};
pub use origin::OriginalDestination;
