//! Local pods: Kubernetes manifests run on one Linux machine, each pod in network namespaces of its own.
//!
//! A sandbox is a supervisor process with a pid, mount and network namespace, and everything else below it, so that the
//! end of the supervisor is the end of all. `weft sandbox`, `weft demo` and the end-to-end tests use it by
//! [`Sandbox`]; [`supervisor::run`] is the other side, in the process that `weft sandbox-supervisor` starts.

mod address;
mod client;
mod cluster_ip;
mod environment;
mod error;
mod hosts;
pub mod manifest;
mod net;
mod picture;
mod process;
mod protocol;
mod registry;
mod rundir;
pub mod supervisor;
mod wire;

pub use client::{Command, Options, Output, Running, SUPERVISOR, Sandbox};
pub use error::SandboxError;
pub use protocol::{Container, Event, Listing, Pod, PodName, Service, Url};
pub use rundir::RunDirError;
