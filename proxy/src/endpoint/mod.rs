//! How an endpoint is reached: over the mesh by its links, or directly; which connection serves a stream.

mod connect;

pub use connect::{ConnectError, Dial, connect};
