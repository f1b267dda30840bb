//! The monolith: the same modules in one process, on one database, and an order in one transaction.
//!
//! There is no saga here, because there is nothing to agree with anybody about: what fails is rolled back, and nothing of it
//! is left. That is what the services give up, and examples/README.md says what they get for it.

mod buy;
mod rest;
mod run;
#[cfg(test)]
mod tests;

pub use buy::{BuyError, buy};
pub use rest::router;
pub use run::{open, run};
