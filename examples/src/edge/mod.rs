//! The edge: the one way into the shop. It knows who calls (JWT), how often he may, and where each path leads.
//!
//! What it does not do: the shop's rules (the services), answers for one kind of client (the BFFs), and what the mesh does
//! behind it: encryption, balancing, retries, golden metrics.

mod forward;
mod limit;
mod login;
mod rest;
mod route;
mod run;
#[cfg(test)]
mod tests;
mod token;

pub use limit::Limit;
pub use rest::{Edge, router};
pub use route::{Access, Route, Routes};
pub use run::run;
pub use token::Tokens;
