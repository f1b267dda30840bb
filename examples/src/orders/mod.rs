//! The orders service: REST for clients, and the saga that carries an order out (`saga.rs`, which is the file to read).

mod choreography;
mod grpc;
mod lease;
mod order;
mod outbox;
mod partners;
mod relay;
mod rest;
mod run;
mod saga;
mod service;
mod store;
mod two_phase;
mod work;

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use crate::db;

pub use lease::Lease;
pub use order::{Entry, Item, Mode, NewItem, NewOrder, Order, State, Status, Step, UnknownWord};
pub use partners::{Failure, Partners, Urls};
pub use rest::router;
pub use run::run;
pub use service::{OrderError, Orders};
pub use store::{Books, Filter, books, complete, create};
pub use work::{Work, work};

/// The tables of orders.
pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| db::tables("orders", sqlx::migrate!("migrations/orders")));
