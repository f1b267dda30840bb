//! The control plane: registries feed the index, resolve reads it, serve tells the proxies.
//!
//! A change goes one way: `registry` -> `index` -> `resolve` -> `serve`. `identity` is the certificate authority and
//! says who a caller is. `lease` is held by the one replica that writes what only one may. `app` builds all of it once.

pub mod admin;
pub mod app;
pub mod cluster;
pub mod config;
pub mod error;
pub mod identity;
pub mod index;
pub mod inject;
pub mod lease;
mod limit;
pub mod listen;
mod pace;
pub mod registry;
pub mod resolve;
pub mod rotation;
pub mod serve;
pub mod shutdown;
pub mod status;
pub mod tap;
pub mod telemetry;

#[cfg(test)]
mod fixture;
