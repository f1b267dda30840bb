//! The analytics service: what was sold, from orders' events. Its view is behind at times, says how far, and converges.

mod rest;
mod run;
mod store;

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use crate::db;

pub use rest::router;
pub use run::run;
pub use store::{Sales, apply, sales};

/// The name under which it follows the events.
const NAME: &str = "analytics";

/// The tables of analytics.
pub static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("analytics", sqlx::migrate!("migrations/analytics")));
