//! Discovery by the client itself: a registry that services report to, and clients that ask it and pick.
//!
//! It is here for comparison. Through the mesh none of this is needed: a client calls `http://catalog:8080`, and its proxy
//! knows the endpoints. See examples/README.md for what each costs.

mod leases;
mod picker;
mod register;
mod rest;
mod run;
#[cfg(test)]
mod tests;

pub use leases::{Instances, Leases};
pub use picker::{service, watched};
pub use register::registered;
pub use rest::{Heartbeat, Registry, router};
pub use run::run;
