//! What can be done with orders: take one in, wait for its end, cancel it, look.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::choreography;
use super::lease::{LEASE, Lease, Stopped};
use super::order::{Mode, NewOrder, Order, Status};
use super::partners::{Failure, Partners};
use super::store::{self, Books, Filter};
use super::work::Work;
use crate::db::Db;
use crate::faults::Faults;
use crate::problem::FieldError;
use crate::trace::TraceContext;
use crate::{clock, id, settings};

/// How long a client waits for the end of its order before it is told that there is none yet.
const PATIENCE: Duration = Duration::from_secs(5);
/// Why an order is cancelled whose client asks for it.
const CANCELLED: &str = "its client cancelled it";
const POLL: Duration = Duration::from_millis(50);
/// Orders that wait for their turn in this replica. One more is left to whoever looks for orders that nobody works on.
const QUEUE: usize = 1000;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The orders service. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Orders {
    pub(super) db: Db,
    pub(super) partners: Partners,
    pub(super) faults: Arc<Faults>,
    /// How long a lease holds.
    pub(super) lasts: Duration,
    pub(super) stop: CancellationToken,
    queue: mpsc::Sender<Work>,
}

/// Why an order was not found or not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No order has the id.
    #[error("there is no order {id}")]
    Unknown {
        /// The id.
        id: i64,
    },
    /// Fields break the rules.
    #[error("the order is not valid")]
    Invalid(Vec<FieldError>),
    /// The idempotency key came with another order before.
    #[error("the Idempotency-Key {key:?} came with another order before: use a new key for a new order")]
    KeyTaken {
        /// The key.
        key: String,
    },
    /// Users or catalog do not know what is named, or do not answer.
    #[error("nothing was ordered: {0}")]
    Partner(#[from] Failure),
    /// The database did not answer, or not as it should.
    #[error("the orders' database did not answer; an order that was sent with an Idempotency-Key can be sent again")]
    Database(#[from] sqlx::Error),
}

impl Orders {
    /// With what `work` is to be given to carry the orders out. `LEASE` (5s) says how long a replica that says nothing is
    /// thought to be alive.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(
        db: Db,
        partners: Partners,
        faults: Arc<Faults>,
        stop: CancellationToken,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Work>)> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let lasts = settings::time("LEASE", LEASE)?;
        Ok((Self { db, partners, faults, lasts, stop, queue }, waiting))
    }

    /// Takes in an order, and gives it back once it has ended, or as it is after 5 s. The same `key` with the same order
    /// gives the order that it gave before.
    ///
    /// # Errors
    /// What breaks the rules or is not known, a service that has to be asked and does not answer, a key of another order.
    pub async fn order(
        &self,
        new: NewOrder,
        mode: Mode,
        key: Option<String>,
        trace: TraceContext,
    ) -> Result<Order, OrderError> {
        let (id, done) = self.take_in(new, mode, key, trace).await?;
        self.ended(id, done).await
    }

    /// The same, but gives the order back as it is at once.
    ///
    /// # Errors
    /// Those of [`Self::order`].
    pub async fn order_without_waiting(
        &self,
        new: NewOrder,
        mode: Mode,
        key: Option<String>,
        trace: TraceContext,
    ) -> Result<Order, OrderError> {
        let (id, _) = self.take_in(new, mode, key, trace).await?;
        self.find(id).await
    }

    /// The order's id, and what tells of its end where this replica carries it out.
    async fn take_in(
        &self,
        new: NewOrder,
        mode: Mode,
        key: Option<String>,
        trace: TraceContext,
    ) -> Result<(i64, Option<oneshot::Receiver<()>>), OrderError> {
        new.check().map_err(OrderError::Invalid)?;
        let key = key.map(|key| Key { request: format!("{} {}", mode.word(), words_of(&new)), key });
        if let Some(id) = self.made_before(key.as_ref()).await? {
            return Ok((id, None));
        }
        let order = self.price(new, mode, &trace).await?;
        let (lease, done) = (Lease::new(order.id, self.lasts), oneshot::channel());
        if !self.write_down(&order, &lease, key.as_ref()).await? {
            // The same request was faster on another connection.
            let id = self.made_before(key.as_ref()).await?;
            return Ok((id.unwrap_or(order.id), None));
        }
        if mode != Mode::Choreography {
            self.carry_out(Work { lease, trace, done: Some(done.0) });
        }
        Ok((order.id, Some(done.1)))
    }

    /// Undoes an order, and gives it back once it is cancelled, or as it is after 5 s. One that is cancelled stays as it is.
    ///
    /// # Errors
    /// [`OrderError::Unknown`].
    pub async fn cancel(&self, id: i64, trace: TraceContext) -> Result<Order, OrderError> {
        let (lease, done) = (Lease::new(id, self.lasts), oneshot::channel());
        let mut transaction = self.db.begin().await?;
        let is_reopened = store::reopen(&mut transaction, &lease, CANCELLED).await?;
        if !is_reopened {
            // Whoever works on it finds the reason when it looks at what is next.
            store::turn_back(&mut transaction, id, CANCELLED).await?;
        }
        transaction.commit().await?;
        if is_reopened {
            self.carry_out(Work { lease, trace, done: Some(done.0) });
        }
        self.ended(id, Some(done.1)).await
    }

    /// Gives work to this replica. What the queue has no room for is taken up by any once its lease has run out.
    fn carry_out(&self, work: Work) {
        let _ = self.queue.try_send(work);
    }

    /// What all orders add up to.
    ///
    /// # Errors
    /// The database's.
    pub async fn books(&self) -> Result<Books, OrderError> {
        Ok(store::books(&mut *self.db.pool.acquire().await?).await?)
    }

    /// The order that the key made, if it came before.
    async fn made_before(&self, key: Option<&Key>) -> Result<Option<i64>, OrderError> {
        let Some(Key { key, request }) = key else { return Ok(None) };
        match store::find_key(&mut *self.db.pool.acquire().await?, key).await? {
            Some((before, id)) if before == *request => Ok(Some(id)),
            Some(_) => Err(OrderError::KeyTaken { key: key.clone() }),
            None => Ok(None),
        }
    }

    /// The order with names and prices, which users and catalog are asked for at the same time.
    async fn price(&self, new: NewOrder, mode: Mode, trace: &TraceContext) -> Result<Order, OrderError> {
        let prices = try_join_all(new.items.iter().map(|item| self.partners.price(item, trace)));
        let (user_name, items) = try_join(self.partners.user_name(new.user_id, trace), prices).await?;
        let total_cents = items.iter().map(|item| item.price_cents.saturating_mul(item.quantity));
        Ok(Order {
            id: id::fresh(),
            user_id: new.user_id,
            user_name,
            mode,
            status: Status::Pending,
            reason: None,
            total_cents: total_cents.fold(0, i64::saturating_add),
            items,
            created_at: clock::now(),
            steps: Vec::new(),
        })
    }

    /// The first step of every order. False where its key is taken.
    async fn write_down(&self, order: &Order, lease: &Lease, key: Option<&Key>) -> sqlx::Result<bool> {
        let mut transaction = self.db.begin().await?;
        if let Some(Key { key, request }) = key
            && !store::take_key(&mut transaction, key, request, order.id).await?
        {
            return Ok(false);
        }
        store::create(&mut transaction, order, lease).await?;
        if order.mode == Mode::Choreography {
            choreography::tell(&mut transaction, order.id, choreography::Event::OrderPlaced, "").await?;
        }
        self.faults.crash_at("before", "create-order");
        transaction.commit().await?;
        self.faults.crash_at("after", "create-order");
        Ok(true)
    }

    /// The order once it has ended, or as it is after 5 s.
    async fn ended(&self, id: i64, done: Option<oneshot::Receiver<()>>) -> Result<Order, OrderError> {
        let ends = async {
            if let Some(done) = done {
                let _ = done.await;
            }
            while self.find(id).await?.status == Status::Pending {
                sleep(POLL).await;
            }
            Ok::<_, OrderError>(())
        };
        if let Ok(Err(error)) = timeout(PATIENCE, ends).await {
            return Err(error);
        }
        self.find(id).await
    }

    /// The order with this id.
    ///
    /// # Errors
    /// [`OrderError::Unknown`].
    pub async fn find(&self, id: i64) -> Result<Order, OrderError> {
        store::find(&mut *self.db.pool.acquire().await?, id).await?.ok_or(OrderError::Unknown { id })
    }

    /// Orders in the order of their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Order>, OrderError> {
        Ok(store::list(&mut *self.db.pool.acquire().await?, filter).await?)
    }

    /// The order that is worked on, read anew.
    pub(super) async fn read(&self, id: i64) -> Result<Order, Stopped> {
        let found = store::find(&mut *self.db.pool.acquire().await?, id).await?;
        found.ok_or(Stopped::Database(sqlx::Error::RowNotFound))
    }

    /// Waits before a step is tried again: 50 ms after the first try, twice as long after each further one, 1 s at most,
    /// a little more or less by chance so that not all orders try at once.
    pub(super) async fn pause(&self, tries: i64) -> Result<(), Stopped> {
        let doublings = u32::try_from(tries - 1).unwrap_or(0).min(10);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        let waited = self.stop.run_until_cancelled(sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0))).await;
        waited.ok_or(Stopped::Stopping)
    }
}

/// An idempotency key, and what came with it.
struct Key {
    key: String,
    request: String,
}

fn words_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
