//! The users service: REST on one port, gRPC on another, over the same users.

mod grpc;
mod orders;
mod rest;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use grpc::UsersGrpc;
pub use rest::router;
pub use run::run;
pub use store::{MIGRATIONS, NewUser, Outcome, User, UserError, create, find, import, list, sync};
