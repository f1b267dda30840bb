//! The shop: sample services that know nothing of the mesh.
//!
//! `users` and `orders` are what a team would write without Weft. All state is in memory and each replica has its own.
//! Their client under load is `weft demo`'s.

pub mod faults;
pub mod json;
pub mod orders;
pub mod page;
pub mod problem;
pub mod serve;
pub mod settings;
pub mod trace;
pub mod users;

/// Generated from proto/user.proto.
#[expect(missing_docs, reason = "generated code; the proto file is its documentation")]
pub mod proto {
    tonic::include_proto!("_");
}
