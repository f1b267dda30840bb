//! The transactional outbox: what happened to an order is written down in the transaction in which it happened.
//!
//! An event that was sent and an order that was not kept, or the other way round, cannot come to be: there is one commit.
//! Sequences are given out under the lock of one row, which is held until that commit: they become visible in their order and
//! without a gap, so that a reader needs to remember no more than the last one that it has seen.

use std::collections::HashMap;

use sqlx::{AnyConnection, FromRow};

use super::order::words;
use crate::clock;
use crate::proto::order_event::Kind as WireKind;
use crate::proto::{self, OrderEvent};

words! {
    /// What happened.
    Kind {
        /// An order is being worked on.
        Created = "CREATED",
        /// Everything of it is done.
        Completed = "COMPLETED",
        /// It came to nothing, and nothing of it is left.
        Cancelled = "CANCELLED",
    }
}

/// Writes down that something happened to the order, as part of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn append(connection: &mut AnyConnection, kind: Kind, order_id: i64) -> sqlx::Result<()> {
    let next = "UPDATE order_event_sequence SET last = last + 1 RETURNING last";
    let (sequence,): (i64,) = sqlx::query_as(next).fetch_one(&mut *connection).await?;
    let insert = "INSERT INTO order_events (sequence, kind, order_id, happened_at) VALUES ($1, $2, $3, $4)";
    let insert = sqlx::query(insert).bind(sequence).bind(kind.word()).bind(order_id).bind(clock::now());
    insert.execute(connection).await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    sequence: i64,
    #[sqlx(try_from = "String")]
    kind: Kind,
    happened_at: i64,
    order_id: i64,
    user_id: i64,
    total_cents: i64,
}

/// The first `limit` events after the one with the sequence `after`.
///
/// # Errors
/// The database's.
pub async fn read(connection: &mut AnyConnection, after: i64, limit: i64) -> sqlx::Result<Vec<OrderEvent>> {
    let select = "SELECT sequence, kind, happened_at, order_id, user_id, total_cents FROM order_events \
        JOIN orders ON orders.id = order_id WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    let rows: Vec<Row> = sqlx::query_as(select).bind(after).bind(limit).fetch_all(&mut *connection).await?;
    let Some(last) = rows.last().map(|row| row.sequence) else { return Ok(Vec::new()) };
    let select = "SELECT order_id, product_id, quantity FROM order_items WHERE order_id IN \
        (SELECT order_id FROM order_events WHERE sequence > $1 AND sequence <= $2) ORDER BY product_id";
    let parts: Vec<(i64, i64, i64)> = sqlx::query_as(select).bind(after).bind(last).fetch_all(connection).await?;
    let mut items = HashMap::<_, Vec<_>>::new();
    for (order_id, product_id, quantity) in parts {
        items.entry(order_id).or_default().push(proto::Item { product_id, quantity });
    }
    let event = |row: Row| OrderEvent {
        sequence: row.sequence,
        kind: WireKind::from(row.kind).into(),
        order_id: row.order_id,
        user_id: row.user_id,
        total_cents: row.total_cents,
        items: items.get(&row.order_id).cloned().unwrap_or_default(),
        happened_at: row.happened_at,
    };
    Ok(rows.into_iter().map(event).collect())
}

/// The last sequence there is; 0 for none.
///
/// # Errors
/// The database's.
pub async fn head(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    let (last,): (i64,) = sqlx::query_as("SELECT last FROM order_event_sequence").fetch_one(connection).await?;
    Ok(last)
}

impl From<Kind> for WireKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Created => Self::Created,
            Kind::Completed => Self::Completed,
            Kind::Cancelled => Self::Cancelled,
        }
    }
}
