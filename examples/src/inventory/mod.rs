//! The inventory service: what lies in the warehouse, over gRPC. It takes part in sagas and in two-phase commits.

mod grpc;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use grpc::InventoryGrpc;
pub use run::run;
pub use store::{InventoryError, Items, MIGRATIONS, StockWork, list, release, reserve, restock};
