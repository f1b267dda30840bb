//! The monolith as a program.

use tokio_util::sync::CancellationToken;

use super::rest::router;
use crate::db::Db;
use crate::{catalog, inventory, orders, payments, serve, settings, users};

/// What a new account begins with.
const OPENING_CENTS: i64 = 1_000_000;

/// Serves REST on `PORT` (8080) until it is told to stop, over `DATABASE_URL` (the file all-in-one.db).
///
/// # Errors
/// A setting that cannot be used, a port that is taken, or a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let opening_cents = settings::parsed("OPENING_BALANCE_CENTS", OPENING_CENTS, "a whole number of cents")?;
    let db = Db::from_env("all-in-one", &users::MIGRATIONS).await?;
    make_tables(&db).await?;
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;
    let stop = CancellationToken::new();
    serve::until_signal(stop.clone(), serve::rest(listener, router(db, opening_cents), stop)).await
}

/// The database at `url` with the tables of all modules.
///
/// # Errors
/// A database that does not answer, or whose tables cannot be made.
pub async fn open(url: &str) -> anyhow::Result<Db> {
    let db = Db::open(url, &users::MIGRATIONS).await?;
    make_tables(&db).await?;
    Ok(db)
}

async fn make_tables(db: &Db) -> anyhow::Result<()> {
    for tables in [&catalog::MIGRATIONS, &inventory::MIGRATIONS, &payments::MIGRATIONS, &orders::MIGRATIONS] {
        db.migrate(tables).await?;
    }
    Ok(())
}
