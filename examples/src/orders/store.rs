//! Orders in the database: what is written and read, and nothing of who is called.
//!
//! What writes takes a connection and is part of its caller's transaction.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};
use utoipa::ToSchema;

use super::lease::Lease;
use super::order::{Entry, Item, Mode, Order, State, Status, Step};
use super::outbox::{self, Kind};
use crate::clock;
use crate::page::Page;

/// Writes down a new order: its first step, and the first event of it.
///
/// # Errors
/// The database's.
pub async fn create(connection: &mut AnyConnection, order: &Order, lease: &Lease) -> sqlx::Result<()> {
    let insert = "INSERT INTO orders \
        (id, user_id, user_name, mode, status, total_cents, created_at, lease, lease_until) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let insert = sqlx::query(insert).bind(order.id).bind(order.user_id).bind(&order.user_name);
    let insert = insert.bind(order.mode.word()).bind(order.status.word()).bind(order.total_cents);
    insert.bind(order.created_at).bind(lease.token).bind(lease.until()).execute(&mut *connection).await?;
    for item in &order.items {
        let insert = "INSERT INTO order_items (order_id, product_id, name, quantity, price_cents) \
            VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(order.id).bind(item.product_id).bind(&item.name);
        insert.bind(item.quantity).bind(item.price_cents).execute(&mut *connection).await?;
    }
    begin(connection, order.id, Step::CreateOrder).await?;
    note(connection, order.id, Step::CreateOrder, State::Done, "").await?;
    outbox::append(connection, Kind::Created, order.id).await
}

/// Writes down that `step` is begun, and says how often it now was.
///
/// # Errors
/// The database's.
pub async fn begin(connection: &mut AnyConnection, id: i64, step: Step) -> sqlx::Result<i64> {
    let upsert = "INSERT INTO order_steps (order_id, position, name, state, attempts, detail, at) \
        VALUES ($1, (SELECT COUNT(*) FROM order_steps WHERE order_id = $1), $2, 'running', 1, '', $3) \
        ON CONFLICT (order_id, name) DO UPDATE SET state = 'running', attempts = order_steps.attempts + 1, at = $3 \
        RETURNING attempts";
    let upsert = sqlx::query_as(upsert).bind(id).bind(step.word()).bind(clock::now());
    let (attempts,): (i64,) = upsert.fetch_one(connection).await?;
    Ok(attempts)
}

/// Writes down what came of `step`.
///
/// # Errors
/// The database's.
pub async fn end(
    connection: &mut AnyConnection,
    id: i64,
    step: Step,
    outcome: &Result<(), impl Display>,
) -> sqlx::Result<()> {
    match outcome {
        Ok(()) => note(connection, id, step, State::Done, "").await,
        Err(reason) => note(connection, id, step, State::Failed, &reason.to_string()).await,
    }
}

/// Writes down what `step` has become, and what there is to say about that.
///
/// # Errors
/// The database's.
pub async fn note(connection: &mut AnyConnection, id: i64, step: Step, state: State, detail: &str) -> sqlx::Result<()> {
    let update = "UPDATE order_steps SET state = $3, detail = $4, at = $5 WHERE order_id = $1 AND name = $2";
    let update = sqlx::query(update).bind(id).bind(step.word()).bind(state.word()).bind(detail);
    update.bind(clock::now()).execute(connection).await?;
    Ok(())
}

/// Turns a pending order round: from now on its steps only go back.
///
/// # Errors
/// The database's.
pub async fn turn_back(connection: &mut AnyConnection, id: i64, reason: &str) -> sqlx::Result<()> {
    let update = "UPDATE orders SET reason = $2 WHERE id = $1 AND status = 'pending' AND reason IS NULL";
    sqlx::query(update).bind(id).bind(reason).execute(connection).await?;
    Ok(())
}

/// Whether the order is pending and not on its way back. It stays so until the transaction ends.
///
/// # Errors
/// The database's.
pub async fn goes_forward(connection: &mut AnyConnection, id: i64) -> sqlx::Result<bool> {
    let update = "UPDATE orders SET status = status WHERE id = $1 AND status = 'pending' AND reason IS NULL";
    Ok(sqlx::query(update).bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Everything of it is done. An order that is on its way back stays on it.
///
/// # Errors
/// The database's.
pub async fn complete(connection: &mut AnyConnection, id: i64) -> sqlx::Result<()> {
    let update = "UPDATE orders SET status = 'completed' WHERE id = $1 AND status = 'pending' AND reason IS NULL";
    let ended = sqlx::query(update).bind(id).execute(&mut *connection).await?;
    if ended.rows_affected() == 1 { outbox::append(connection, Kind::Completed, id).await } else { Ok(()) }
}

/// It came to nothing, and nothing of it is left.
///
/// # Errors
/// The database's.
pub async fn cancel(connection: &mut AnyConnection, id: i64) -> sqlx::Result<()> {
    let update = "UPDATE orders SET status = 'cancelled' WHERE id = $1 AND status = 'pending'";
    let ended = sqlx::query(update).bind(id).execute(&mut *connection).await?;
    if ended.rows_affected() == 1 { outbox::append(connection, Kind::Cancelled, id).await } else { Ok(()) }
}

/// Takes up a completed order to undo it, for `reason`. False for one that is not completed.
///
/// # Errors
/// The database's.
pub async fn reopen(connection: &mut AnyConnection, lease: &Lease, reason: &str) -> sqlx::Result<bool> {
    let update = "UPDATE orders SET status = 'pending', reason = $2, lease = $3, lease_until = $4 \
        WHERE id = $1 AND status = 'completed'";
    let update = sqlx::query(update).bind(lease.order_id).bind(reason).bind(lease.token).bind(lease.until());
    Ok(update.execute(connection).await?.rows_affected() == 1)
}

/// Which orders are listed.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Which part of them.
    pub page: Page,
    /// Only this user's.
    pub user_id: Option<i64>,
    /// Only those that have become this.
    pub status: Option<Status>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    user_id: i64,
    user_name: String,
    #[sqlx(try_from = "String")]
    mode: Mode,
    #[sqlx(try_from = "String")]
    status: Status,
    reason: Option<String>,
    total_cents: i64,
    created_at: i64,
}

#[derive(FromRow)]
struct Part<T> {
    order_id: i64,
    #[sqlx(flatten)]
    part: T,
}

/// The ids of the orders that are listed: the parameters are those of [`Filter`].
const CHOSEN: &str = "SELECT id FROM orders WHERE id > $1 AND ($2 = 0 OR user_id = $2) AND ($3 = '' OR status = $3) \
    ORDER BY id LIMIT $4";

/// Orders in the order of their ids, each with its items and its log.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection, filter: Filter) -> sqlx::Result<Vec<Order>> {
    let columns = "id, user_id, user_name, mode, status, reason, total_cents, created_at";
    let rows = format!("SELECT {columns} FROM orders WHERE id IN ({CHOSEN}) ORDER BY id");
    let rows: Vec<Row> = chosen(connection, filter, rows).await?;
    let columns = "order_id, product_id, name, quantity, price_cents";
    let items = format!("SELECT {columns} FROM order_items WHERE order_id IN ({CHOSEN}) ORDER BY product_id");
    let mut items = by_order::<Item>(chosen(connection, filter, items).await?);
    let columns = "order_id, name, state, attempts, detail, at";
    let steps = format!("SELECT {columns} FROM order_steps WHERE order_id IN ({CHOSEN}) ORDER BY position");
    let mut steps = by_order::<Entry>(chosen(connection, filter, steps).await?);
    let order = |row: Row| Order {
        items: items.remove(&row.id).unwrap_or_default(),
        steps: steps.remove(&row.id).unwrap_or_default(),
        id: row.id,
        user_id: row.user_id,
        user_name: row.user_name,
        mode: row.mode,
        status: row.status,
        reason: row.reason,
        total_cents: row.total_cents,
        created_at: row.created_at,
    };
    Ok(rows.into_iter().map(order).collect())
}

async fn chosen<T>(connection: &mut AnyConnection, filter: Filter, select: String) -> sqlx::Result<Vec<T>>
where
    T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
{
    let query = sqlx::query_as(AssertSqlSafe(select)).bind(filter.page.after).bind(filter.user_id.unwrap_or(0));
    let query = query.bind(filter.status.map_or("", Status::word)).bind(filter.page.limit as i64);
    query.fetch_all(connection).await
}

fn by_order<T>(parts: Vec<Part<T>>) -> HashMap<i64, Vec<T>> {
    let mut orders = HashMap::<_, Vec<_>>::new();
    for Part { order_id, part } in parts {
        orders.entry(order_id).or_default().push(part);
    }
    orders
}

/// The order with this id.
///
/// # Errors
/// The database's.
pub async fn find(connection: &mut AnyConnection, id: i64) -> sqlx::Result<Option<Order>> {
    let page = Page { after: id.saturating_sub(1), limit: 1 };
    let found = list(connection, Filter { page, user_id: None, status: None }).await?;
    Ok(found.into_iter().find(|order| order.id == id))
}

/// Notes that the idempotency `key` came with `request` and made the order `id`, unless the key is taken.
///
/// # Errors
/// The database's.
pub async fn take_key(connection: &mut AnyConnection, key: &str, request: &str, id: i64) -> sqlx::Result<bool> {
    let insert = "INSERT INTO order_keys (key, request, order_id) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING";
    let insert = sqlx::query(insert).bind(key).bind(request).bind(id);
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

/// The request that an idempotency key came with, and the order that it made.
///
/// # Errors
/// The database's.
pub async fn find_key(connection: &mut AnyConnection, key: &str) -> sqlx::Result<Option<(String, i64)>> {
    let select = "SELECT request, order_id FROM order_keys WHERE key = $1";
    sqlx::query_as(select).bind(key).fetch_optional(connection).await
}

/// What all orders add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Books {
    /// Orders that are being worked on.
    pub pending: i64,
    /// Orders that are completed.
    pub completed: i64,
    /// Orders that are cancelled.
    pub cancelled: i64,
    /// What the completed orders cost.
    pub completed_cents: i64,
    /// What the completed orders hold, by product.
    pub completed_items: BTreeMap<i64, i64>,
}

/// What all orders add up to.
///
/// # Errors
/// The database's.
pub async fn books(connection: &mut AnyConnection) -> sqlx::Result<Books> {
    let select = "SELECT product_id, CAST(SUM(quantity) AS BIGINT) FROM order_items \
        WHERE order_id IN (SELECT id FROM orders WHERE status = 'completed') GROUP BY product_id";
    let items: Vec<(i64, i64)> = sqlx::query_as(select).fetch_all(&mut *connection).await?;
    let select = "SELECT status, COUNT(*), CAST(SUM(total_cents) AS BIGINT) FROM orders GROUP BY status";
    let orders: Vec<(String, i64, i64)> = sqlx::query_as(select).fetch_all(connection).await?;
    let mut books = Books { completed_items: items.into_iter().collect(), ..Books::default() };
    for (status, count, cents) in orders {
        match Status::try_from(status) {
            Ok(Status::Completed) => (books.completed, books.completed_cents) = (count, cents),
            Ok(Status::Cancelled) => books.cancelled = count,
            Ok(Status::Pending) | Err(_) => books.pending = count,
        }
    }
    Ok(books)
}
