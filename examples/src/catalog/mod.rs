//! The catalog service: what can be bought, over REST.

mod rest;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use rest::router;
pub use run::run;
pub use store::{CatalogError, MIGRATIONS, NewProduct, Product, create, find, list};
