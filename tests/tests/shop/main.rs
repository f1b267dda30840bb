//! The shop, all of it, in a mesh: its patterns when all is well, and when everything fails in turn.
//!
//! Needs root or user namespaces. Where neither is allowed, every test fails and says so: none passes without having run.
//! The judge of orders is `shop load`, which asks the services themselves, never a proxy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

mod browser;
mod faults;
mod harness;
mod patterns;
mod webdriver;
