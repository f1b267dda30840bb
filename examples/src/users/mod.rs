//! The users service: REST on one port, gRPC on another, over the same users.

mod grpc;
mod rest;
mod store;
#[cfg(test)]
mod tests;

pub use grpc::UsersGrpc;
pub use rest::router;
pub use store::{NewUser, Outcome, User, UserError, Users};
