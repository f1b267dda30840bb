//! How much of anything there may be at once (both paths). Every count is given back by a drop guard.
//!
//! [`InFlight`] refuses what is too much, [`Slots`] makes it wait, [`PeerCap`] counts for each peer by itself, [`Handshakes`]
//! are both of these, and [`Queue`] bounds waiting in time and number. The numbers come from `config`; who may call at all is `authz`'s.

mod handshakes;
mod in_flight;
mod peer;
mod queue;
mod slots;

pub use handshakes::{HandshakeError, HandshakePermit, Handshakes};
pub use in_flight::{InFlight, Permit};
pub use peer::{PeerCap, PeerFull, PeerPermit};
pub use queue::{Queue, QueueError};
pub use slots::{Slot, Slots};
