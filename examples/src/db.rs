//! A service's own database: SQLite by default, PostgreSQL by `DATABASE_URL`.
//!
//! Statements are written once for both: `$1` parameters, `BIGINT` and `TEXT` columns, `ON CONFLICT`, and rules of
//! concurrency that hold in either (a condition within the `UPDATE`, never a read that a later write trusts).

use std::time::Duration;

use anyhow::Context;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyPool, Executor, Transaction};

use crate::settings;

const CONNECTIONS: u32 = 8;
/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// What SQLite has to be told on each connection: readers beside the writer, a wait for the lock, a write that survives
/// the loss of power, references that hold.
const SQLITE: &str = "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON;";

/// What speaks behind the pool, where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of this machine.
    Sqlite,
    /// A server.
    Postgres,
}

/// A pool of connections to one database.
#[derive(Clone, Debug)]
pub struct Db {
    /// For statements that stand alone.
    pub pool: AnyPool,
    /// What speaks behind it.
    pub kind: Kind,
}

impl Db {
    /// The database at `DATABASE_URL`, or the file `SERVICE.db` of the working folder, with all `migrations`.
    ///
    /// # Errors
    /// A URL of another kind, a server that does not answer, a migration that fails.
    pub async fn from_env(service: &str, migrations: &Migrator) -> anyhow::Result<Self> {
        let url = settings::parsed("DATABASE_URL", format!("sqlite://{service}.db?mode=rwc"), "a URL")?;
        Self::open(&url, migrations).await
    }

    /// The database at `url`: `sqlite://FILE?mode=rwc` or `postgres://USER:PASSWORD@HOST/NAME`.
    ///
    /// # Errors
    /// A URL of another kind, a server that does not answer, a migration that fails.
    pub async fn open(url: &str, migrations: &Migrator) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let kind = match url.split(':').next() {
            Some("sqlite") => Kind::Sqlite,
            Some("postgres" | "postgresql") => Kind::Postgres,
            _ => anyhow::bail!("DATABASE_URL must begin with sqlite: or postgres:"),
        };
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if kind == Kind::Sqlite {
                        connection.execute(SQLITE).await?;
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await
            .context("the database at DATABASE_URL does not answer")?;
        migrations.run(&pool).await.context("the tables of this service cannot be made or changed")?;
        Ok(Self { pool, kind })
    }

    /// Begins a transaction that writes. SQLite has one writer at a time, which is chosen here and not in the middle.
    ///
    /// # Errors
    /// No connection within 5 s.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.kind {
            Kind::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.pool.begin().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let db = Db::open(&url, &Migrator::DEFAULT).await.unwrap();
        db.pool.execute("CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT NOT NULL)").await.unwrap();
        let insert = "INSERT INTO things (id, name) VALUES ($1, $2)";
        let mut dropped = db.begin().await.unwrap();
        sqlx::query(insert).bind(1_i64).bind("lost").execute(&mut *dropped).await.unwrap();
        drop(dropped);
        let mut kept = db.begin().await.unwrap();
        sqlx::query(insert).bind(2_i64).bind("kept").execute(&mut *kept).await.unwrap();
        kept.commit().await.unwrap();
        let names: Vec<(String,)> = sqlx::query_as("SELECT name FROM things").fetch_all(&db.pool).await.unwrap();
        assert_eq!(names, [("kept".to_owned(),)]);
    }

    #[tokio::test]
    async fn a_url_of_another_kind_is_refused() {
        let error = Db::open("mysql://localhost/shop", &Migrator::DEFAULT).await.unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL must begin with sqlite: or postgres:");
    }
}
