//! Orders with the services that it calls, on both databases: in this process, and as a process that is killed.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics when it fails")]

mod choreography;
mod crashes;
mod events;
mod nats;
mod partners;
mod program;
mod rest;
mod saga;
#[path = "../../src/db/testing.rs"]
mod testing;
mod two_phase;
