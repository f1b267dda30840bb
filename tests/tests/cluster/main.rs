//! The mesh on a real cluster: what only the API server, the kubelet, admission and kube-proxy can show.
//!
//! Needs a cluster that `deploy/kind/up` can make, and the images of `make test-images`. Where there is no way to one, every
//! test fails and says what is missing: none passes without having run. The judge of requests is `weft-test-app`, in pods;
//! it is never a proxy. Run by `make test-cluster`, because `cargo test` alone builds no images.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics when it fails")]

mod admission;
mod calls;
mod harness;
mod install;
mod kinds;
mod observed;
mod plane;
mod probes;
mod rollout;
mod rotation;
mod tap;
mod tokens;
mod workers;
