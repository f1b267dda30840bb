//! The shop: sample services that know nothing of the mesh.
//!
//! `users` and `orders` are what a team would write without Weft; `load` is a client of both with a steady rate. All
//! state is in memory and each replica has its own.

pub mod faults;
pub mod json;
pub mod load;
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
