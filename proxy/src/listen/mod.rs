//! Listening: sockets of each worker, the one accept loop, and where a connection wanted to go.

mod origin;

pub use origin::OriginalDestination;
