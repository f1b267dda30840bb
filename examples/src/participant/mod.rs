//! The participant's side of a two-phase commit: a promise that outlives the process that made it.
//!
//! On PostgreSQL the promise is a transaction that the server keeps prepared (`PREPARE TRANSACTION`): its rows stay
//! locked until the decision, and whoever needs them waits. SQLite has nothing like it: there the work is committed with
//! a row in `prepared` that says so, and an abort undoes it. Either way the stock and the money are held back meanwhile.
//!
//! The side that decides is the orders service's.

mod grpc;
mod prepared;
mod recovery;
#[cfg(test)]
mod tests;

use sqlx::AnyConnection;

pub use grpc::service;
pub use recovery::Recovery;

use crate::db::Db;
use crate::proto::Decision;
use crate::proto::prepare_request::Work as Asked;
pub use prepared::InDoubt;
use prepared::Prepared;

/// What a participant works on. Each call is made within a transaction that the participant begins and ends.
#[tonic::async_trait]
pub trait Work: Send + Sync + 'static {
    /// The participant's name: letters only.
    const NAME: &'static str;

    /// Does what is asked for an order. Says whether it was done now: false where it had been done before.
    async fn perform(&self, connection: &mut AnyConnection, order_id: i64, asked: Asked) -> Result<bool, Refusal>;

    /// Undoes what was done for an order, and refuses it from now on.
    async fn undo(&self, connection: &mut AnyConnection, order_id: i64) -> Result<(), Refusal>;

    /// Refuses an order from now on, unless something was done for it.
    async fn refuse(&self, connection: &mut AnyConnection, order_id: i64) -> sqlx::Result<()>;
}

/// Why work was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The rules forbid it, as the client is told: the vote is no.
    #[error("{0}")]
    No(String),
    /// The database did not do its work: there is no vote yet.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// One who takes part in two-phase commits.
#[derive(Debug)]
pub struct Participant<W> {
    db: Db,
    prepared: Prepared,
    work: W,
}

impl<W: Work> Participant<W> {
    /// Takes up what earlier runs have promised.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(db: Db, work: W) -> anyhow::Result<Self> {
        Ok(Self { prepared: Prepared::open(db.clone(), W::NAME).await?, db, work })
    }

    /// Phase one: does the work and promises to keep or to undo it. A no is for ever, and so is a yes until the decision.
    ///
    /// # Errors
    /// [`Refusal::No`] is the vote no. After [`Refusal::Database`] nothing is known: ask again.
    pub async fn prepare(&self, id: i64, asked: Asked) -> Result<(), Refusal> {
        if self.prepared.has(id).await? {
            return Ok(());
        }
        let mut work = self.db.begin().await?;
        match self.work.perform(&mut work, id, asked).await {
            Ok(true) => Ok(self.prepared.promise(work, id).await?),
            Ok(false) => Ok(work.rollback().await?),
            Err(Refusal::No(reason)) => {
                work.rollback().await?;
                self.remember_no(id).await?;
                Err(Refusal::No(reason))
            }
            Err(error) => Err(error),
        }
    }

    /// Phase two. What is not known was decided before, or never promised: there is nothing to do.
    ///
    /// # Errors
    /// The database's: ask again.
    pub async fn decide(&self, id: i64, decision: Decision) -> Result<(), Refusal> {
        match decision {
            Decision::Undecided => Ok(()),
            Decision::Commit => Ok(self.prepared.keep(id).await?),
            Decision::Abort => {
                self.prepared.undo(id, &self.work).await?;
                Ok(self.remember_no(id).await?) // so that a call to prepare that is still on its way comes too late
            }
        }
    }

    /// What was promised and not decided, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_doubt(&self) -> sqlx::Result<Vec<InDoubt>> {
        self.prepared.list().await
    }

    async fn remember_no(&self, id: i64) -> sqlx::Result<()> {
        let mut work = self.db.begin().await?;
        self.work.refuse(&mut work, id).await?;
        work.commit().await
    }
}
