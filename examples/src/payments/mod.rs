//! The payments service: accounts of users, over gRPC. It takes part in sagas and in two-phase commits.

mod grpc;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use grpc::PaymentsGrpc;
pub use run::run;
pub use store::{Charge, MIGRATIONS, Money, PaymentError, charge, list, refund};
