//! Where promises are kept: by PostgreSQL itself, or in a table.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use sqlx::migrate::Migrator;
use sqlx::{Any, AssertSqlSafe, Executor, Transaction};

use super::{Refusal, Work};
use crate::db::{self, Db, Kind};

static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("participant", sqlx::migrate!("migrations/participant")));

/// PostgreSQL has no prepared transaction of that name (undefined_object).
const NOT_PREPARED: &str = "42704";

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// The transaction.
    pub id: i64,
    /// How long ago it was made.
    pub age: Duration,
}

#[derive(Debug)]
pub(super) struct Prepared {
    db: Db,
    participant: &'static str,
    /// Names of prepared transactions are those of a whole PostgreSQL server, so they begin with the database's.
    prefix: String,
}

impl Prepared {
    pub(super) async fn open(db: Db, participant: &'static str) -> anyhow::Result<Self> {
        let database = match db.kind {
            Kind::Sqlite => {
                db.migrate(&MIGRATIONS).await?;
                String::new()
            }
            Kind::Postgres => {
                let name: (String,) =
                    sqlx::query_as("SELECT CAST(current_database() AS TEXT)").fetch_one(&db.pool).await?;
                name.0
            }
        };
        Ok(Self { db, participant, prefix: format!("{database}/{participant}/") })
    }

    /// Keeps what `work` has done so that it can still be undone.
    pub(super) async fn promise(&self, mut work: Transaction<'static, Any>, id: i64) -> sqlx::Result<()> {
        match self.db.kind {
            Kind::Sqlite => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                sqlx::query("INSERT INTO prepared (participant, transaction_id, prepared_at) VALUES ($1, $2, $3)")
                    .bind(self.participant)
                    .bind(id)
                    .bind(now.as_millis() as i64)
                    .execute(&mut *work)
                    .await?;
            }
            Kind::Postgres => {
                work.execute(self.named("PREPARE TRANSACTION", id)).await?;
            }
        }
        work.commit().await // in PostgreSQL the transaction has left this connection, and there is nothing to commit
    }

    pub(super) async fn has(&self, id: i64) -> sqlx::Result<bool> {
        Ok(self.list().await?.iter().any(|promise| promise.id == id))
    }

    pub(super) async fn keep(&self, id: i64) -> sqlx::Result<()> {
        match self.db.kind {
            Kind::Sqlite => {
                let mut work = self.db.begin().await?;
                self.forget(&mut work, id).await?;
                work.commit().await
            }
            Kind::Postgres => self.end("COMMIT PREPARED", id).await,
        }
    }

    pub(super) async fn undo(&self, id: i64, how: &impl Work) -> Result<(), Refusal> {
        match self.db.kind {
            Kind::Sqlite => {
                let mut work = self.db.begin().await?;
                if self.forget(&mut work, id).await? {
                    how.undo(&mut work, id).await?;
                }
                Ok(work.commit().await?)
            }
            Kind::Postgres => Ok(self.end("ROLLBACK PREPARED", id).await?),
        }
    }

    pub(super) async fn list(&self) -> sqlx::Result<Vec<InDoubt>> {
        match self.db.kind {
            Kind::Sqlite => self.list_rows().await,
            Kind::Postgres => self.list_of_server().await,
        }
    }

    async fn list_rows(&self) -> sqlx::Result<Vec<InDoubt>> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT transaction_id, prepared_at FROM prepared WHERE participant = $1 ORDER BY prepared_at, transaction_id",
        )
        .bind(self.participant)
        .fetch_all(&self.db.pool)
        .await?;
        let age = |at: i64| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at.max(0) as u64);
            SystemTime::now().duration_since(at).unwrap_or_default()
        };
        Ok(rows.into_iter().map(|(id, at)| InDoubt { id, age: age(at) }).collect())
    }

    async fn list_of_server(&self) -> sqlx::Result<Vec<InDoubt>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT gid, CAST(EXTRACT(EPOCH FROM now() - prepared) * 1000 AS BIGINT) FROM pg_prepared_xacts \
             WHERE database = current_database() ORDER BY prepared, gid",
        )
        .fetch_all(&self.db.pool)
        .await?;
        let read = |(name, age): (String, i64)| {
            let id = name.strip_prefix(&self.prefix)?.parse().ok()?;
            Some(InDoubt { id, age: Duration::from_millis(age.max(0) as u64) })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn forget(&self, work: &mut Transaction<'static, Any>, id: i64) -> sqlx::Result<bool> {
        let delete = "DELETE FROM prepared WHERE participant = $1 AND transaction_id = $2";
        let deleted = sqlx::query(delete).bind(self.participant).bind(id).execute(&mut **work).await?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn end(&self, command: &str, id: i64) -> sqlx::Result<()> {
        match self.db.pool.execute(self.named(command, id)).await {
            Err(error) if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(NOT_PREPARED)) => {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// These commands take no parameters, so the name is quoted here.
    fn named(&self, command: &str, id: i64) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("{command} '{}{id}'", self.prefix.replace('\'', "''")))
    }
}
