//! The notifications service: tells users what became of their orders. It keeps what it would send; nothing leaves it.

mod rest;
mod run;
mod store;

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use crate::db;

pub use rest::router;
pub use run::run;
pub use store::{Notification, list, note};

/// The tables of notifications.
pub static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("notifications", sqlx::migrate!("migrations/notifications")));
