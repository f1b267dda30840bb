//! Who works on an order: one replica at a time, and any of them once that one is gone.
//!
//! A lease is a number in the order's row, drawn anew each time that the order is taken up, with a time until which it
//! holds. Whoever writes to the order's log must still find its own number there ([`Lease::begin`], in the same transaction),
//! so a replica that was thought dead and was not can write nothing any more. Clocks of replicas that differ let an order
//! be taken up too early or too late; they let nothing be written twice.

use std::time::Duration;

use sqlx::{Any, Transaction};

use crate::clock;
use crate::db::Db;
use crate::id;

/// How long a lease holds. Longer than a call and the pause after it, so that who is alive renews it in time.
pub const LEASE: Duration = Duration::from_secs(5);
const MOST_AT_ONCE: i64 = 100;

/// The right to work on an order.
#[derive(Debug)]
pub struct Lease {
    /// The order.
    pub order_id: i64,
    pub(super) token: i64,
    lasts: Duration,
}

/// Why work on an order stops in its middle. Whoever takes it up next goes on from its log.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The lease ran out, and another has taken the order up.
    #[error("another replica has taken the order up")]
    Lost,
    /// The database did not answer, or not as it should.
    #[error("the database did not do what it was asked")]
    Database(#[from] sqlx::Error),
    /// This replica was told to stop.
    #[error("this replica stops")]
    Stopping,
}

impl Lease {
    /// For an order that is just being made.
    #[must_use]
    pub fn new(order_id: i64, lasts: Duration) -> Self {
        Self { order_id, token: id::fresh(), lasts }
    }

    /// Takes up orders that are pending and that nobody works on, the longest waiting first, at most 100 of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_up(db: &Db, lasts: Duration) -> sqlx::Result<Vec<Self>> {
        // A choreographed order is nobody's work until it has to be undone.
        let select = "SELECT id FROM orders WHERE status = 'pending' AND lease_until < $1 \
            AND (mode <> 'choreography' OR reason IS NOT NULL) ORDER BY lease_until LIMIT $2";
        let select = sqlx::query_as(select).bind(clock::now()).bind(MOST_AT_ONCE);
        let free: Vec<(i64,)> = select.fetch_all(&db.pool).await?;
        let mut taken = Vec::new();
        for (id,) in free {
            let lease = Self::new(id, lasts);
            let update = "UPDATE orders SET lease = $2, lease_until = $3 \
                WHERE id = $1 AND status = 'pending' AND lease_until < $4";
            let update = sqlx::query(update).bind(id).bind(lease.token).bind(lease.until()).bind(clock::now());
            if update.execute(&db.pool).await?.rows_affected() == 1 {
                taken.push(lease);
            }
        }
        Ok(taken)
    }

    /// Begins a transaction of who holds the lease: it renews the lease, and nobody else takes the order up until it ends.
    ///
    /// # Errors
    /// [`Stopped::Lost`] where another has taken the order up meanwhile.
    pub async fn begin(&self, db: &Db) -> Result<Transaction<'static, Any>, Stopped> {
        let mut transaction = db.begin().await?;
        let update = "UPDATE orders SET lease_until = $3 WHERE id = $1 AND lease = $2";
        let update = sqlx::query(update).bind(self.order_id).bind(self.token).bind(self.until());
        if update.execute(&mut *transaction).await?.rows_affected() == 1 { Ok(transaction) } else { Err(Stopped::Lost) }
    }

    /// Lets others take the order up at once.
    ///
    /// # Errors
    /// The database's.
    pub async fn give_back(self, db: &Db) -> sqlx::Result<()> {
        let update = "UPDATE orders SET lease_until = 0 WHERE id = $1 AND lease = $2";
        sqlx::query(update).bind(self.order_id).bind(self.token).execute(&db.pool).await?;
        Ok(())
    }

    /// When it would run out, had it been renewed now.
    pub(super) fn until(&self) -> i64 {
        clock::now() + clock::milliseconds(self.lasts)
    }
}
