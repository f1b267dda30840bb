//! The orders service: REST, which asks the users service over gRPC who orders.

mod rest;
mod run;
mod store;
#[cfg(test)]
mod tests;
mod users;

pub use rest::router;
pub use run::run;
pub use store::{NewOrder, Order, OrderError, Orders};
pub use users::UsersClient;
