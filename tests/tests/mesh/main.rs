//! The mesh as its users meet it: real proxies, a real control plane, real network namespaces.
//!
//! Needs root or user namespaces. Where neither is allowed, every test fails and says so: none passes without having run.
//! The judge of requests is `weft-test-app`, never a proxy.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics when it fails")]

mod discovery;
mod ending;
mod exchanges;
mod faults;
mod floods;
mod harness;
mod identity;
mod observed;
mod patience;
mod policy;
mod protocols;
mod settings;
mod soak;
mod storms;
mod vanished;
