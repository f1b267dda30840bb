//! Traffic against the whole path of a worker, over loopback: what its app sends, what a client outside of the mesh sends to
//! the app beside it, and what a peer with a valid certificate sends to the mesh port.
//!
//! `table/` is hostile input as data: each case has a name, a source, the bytes, and what must become of them. The runners
//! give every case to every side, with an app behind the proxy that judges what reaches it by a parser of its own, stricter
//! than any next hop is. `exchanges` are scripts of both ends: what is rare, and good. `flow` is about bodies and
//! those who do not read them, `grpc` the same over HTTP/2.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

mod app;
mod closing;
mod exchanges;
mod fixture;
mod flow;
mod grpc;
mod http1;
mod http2;
mod peer;
mod table;
mod tunnels;
