//! The mesh between programs that nobody here wrote: their clients, two sidecars, their servers.
//!
//! A peer is a package of Debian (`.ci/packages` installs them), a Go module or a package of npm (`make tools`). Where one is
//! missing, the test fails in CI (the variable CI is set), and says elsewhere that it did not run. What is asked of each peer
//! is its own verdict: an exit code, a count of errors, a checksum. Beside that, every test looks at the client's proxy,
//! which must have carried it all by mTLS.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

mod databases;
mod grpc;
mod h2spec;
mod harness;
mod http;
mod speaks_first;
mod websocket;
