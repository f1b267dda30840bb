//! A service's own database: SQLite by default, PostgreSQL by `DATABASE_URL`.
//!
//! Statements are written once for both: `$1` parameters, `BIGINT` and `TEXT` columns, `ON CONFLICT`, and rules of
//! concurrency that hold in either (a condition within the `UPDATE`, never a read that a later write trusts).

use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyPool, Executor, Transaction};
use tokio::time::{Instant, sleep};
use tonic::Status;
use tracing::warn;

use crate::problem::Problem;
use crate::settings;

#[cfg(test)]
pub mod testing;

const CONNECTIONS: u32 = 8;
/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a service that starts waits for a server that does too.
const START_PATIENCE: Duration = Duration::from_secs(60);
const START_PAUSE: Duration = Duration::from_secs(1);
const MIGRATION_PAUSE: Duration = Duration::from_millis(100);
/// What SQLite has to be told on each connection: readers beside the writer, a wait for the lock, a write that survives
/// the loss of power, references that hold.
const SQLITE: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON;";
/// And PostgreSQL: a row that a prepared transaction holds is not waited for without end.
const POSTGRES: &str = "SET lock_timeout = '1s'";

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
    /// The database at `DATABASE_URL`, or the file `SERVICE.db` of the working folder, with all `migrations`. A server may
    /// start after the service: it is tried for 60 s.
    ///
    /// # Errors
    /// A URL of another kind, a server that does not answer, a migration that fails.
    pub async fn from_env(service: &str, migrations: &Migrator) -> anyhow::Result<Self> {
        let url = settings::parsed("DATABASE_URL", format!("sqlite://{service}.db?mode=rwc"), "a URL")?;
        let end = Instant::now() + START_PATIENCE;
        loop {
            match Self::open(&url, migrations).await {
                Err(error) if url.starts_with("postgres") && Instant::now() < end => {
                    warn!(error = format!("{error:#}"), "trying again");
                    tokio::time::sleep(START_PAUSE).await;
                }
                opened => return opened,
            }
        }
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
                    let settings = match kind {
                        Kind::Sqlite => SQLITE,
                        Kind::Postgres => POSTGRES,
                    };
                    connection.execute(settings).await.map(|_| ())
                })
            })
            .connect(url)
            .await
            .context("the database at DATABASE_URL does not answer")?;
        let db = Self { pool, kind };
        db.migrate(migrations).await?;
        Ok(db)
    }

    /// Makes the tables of one more service that shares this database.
    ///
    /// # Errors
    /// A migration that fails.
    pub async fn migrate(&self, migrations: &Migrator) -> anyhow::Result<()> {
        // On SQLite nothing locks a migration: of replicas that start at once one wins, and none does while a service that
        // shares the file writes. Who loses tries again, and may find the tables made.
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if migrations.run(&self.pool).await.is_ok() {
                return Ok(());
            }
            sleep(MIGRATION_PAUSE).await;
        }
        migrations.run(&self.pool).await.context("the tables of this service cannot be made or changed")
    }

    /// Whether it answers a question now.
    ///
    /// # Errors
    /// What it, or the wait for a connection, ended with.
    pub async fn ready(&self) -> sqlx::Result<()> {
        self.pool.execute("SELECT 1").await.map(|_| ())
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

/// The tables of `service` from its folder of `migrations/`, kept apart from those of others in one database:
/// `LazyLock::new(|| db::tables("users", sqlx::migrate!("migrations/users")))`.
#[must_use]
pub fn tables(service: &str, mut migrations: Migrator) -> Migrator {
    migrations.dangerous_set_table_name(format!("{service}_migrations"));
    migrations
}

/// What a gRPC client is told of a database that did not do its work; the reason is logged here.
#[must_use]
pub fn status(error: &sqlx::Error) -> Status {
    warn!(%error, "the database did not do its work");
    Status::unavailable("the database did not answer in time or holds back what is asked for: try again")
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, status(&error).message())
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr;

    use super::*;

    #[tokio::test]
    async fn a_transaction_that_is_dropped_leaves_nothing() {
        testing::on_each(async |url| {
            let db = Db::open(url, &Migrator::DEFAULT).await.unwrap();
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
        })
        .await;
    }

    fn making(version: i64, sql: &'static str) -> Migrator {
        let kind = sqlx::migrate::MigrationType::Simple;
        let migration = sqlx::migrate::Migration::new(version, "tables".into(), kind, sql.into_sql_str(), false);
        Migrator::with_migrations(vec![migration])
    }

    #[tokio::test]
    async fn services_that_share_a_database_keep_their_migrations_apart() {
        testing::on_each(async |url| {
            let users = tables("users", making(1, "CREATE TABLE users (id BIGINT PRIMARY KEY)"));
            let orders = tables("orders", making(1, "CREATE TABLE orders (id BIGINT PRIMARY KEY)"));
            let db = Db::open(url, &users).await.unwrap();
            db.migrate(&orders).await.unwrap();
            db.migrate(&users).await.unwrap();
            db.pool.execute("SELECT users.id, orders.id FROM users, orders").await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn replicas_that_start_at_once_all_come_up() {
        testing::on_each(async |url| {
            let users = tables("users", making(1, "CREATE TABLE users (id BIGINT PRIMARY KEY)"));
            let started = futures_util::future::join_all((0..4).map(|_| Db::open(url, &users))).await;
            for db in started {
                db.unwrap().ready().await.unwrap();
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_url_of_another_kind_is_refused() {
        let error = Db::open("mysql://localhost/shop", &Migrator::DEFAULT).await.unwrap_err();
        assert_eq!(error.to_string(), "DATABASE_URL must begin with sqlite: or postgres:");
    }
}
