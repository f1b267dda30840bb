//! How an endpoint is reached: over the mesh by its links, or directly; which connection serves a stream.

mod connect;
mod links;

pub use connect::{ConnectError, Dial, connect};
pub use links::Links;
