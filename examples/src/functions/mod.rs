//! The serverless style: a function that is a program of its own, started for each event and gone after it.
//!
//! `receipt` is the function: it knows one event and nothing of where events come from. `runner` is what a platform does:
//! it follows the orders, starts the function for each, gives it a time limit, and tries again what failed.

mod receipt;
mod runner;
#[cfg(test)]
mod tests;

pub use receipt::{Event, receipt, run as run_receipt};
pub use runner::{Arguments, Function, run};
