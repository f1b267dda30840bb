//! Orders as analytics knows them, and what they add up to.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use crate::proto::OrderEvent;
use crate::proto::order_event::Kind;

/// What was sold, as far as the events were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sales {
    /// Orders that are being worked on.
    pub pending: i64,
    /// Orders that were completed.
    pub completed: i64,
    /// Orders that were cancelled.
    pub cancelled: i64,
    /// What the completed orders cost.
    pub completed_cents: i64,
    /// What the completed orders hold, by product.
    pub completed_items: BTreeMap<i64, i64>,
}

/// Takes an event into the view.
///
/// # Errors
/// The database's.
pub async fn apply(connection: &mut AnyConnection, event: &OrderEvent) -> sqlx::Result<()> {
    if event.kind() == Kind::Unknown {
        return Ok(());
    }
    let upsert = "INSERT INTO analytics_orders (order_id, status, total_cents) VALUES ($1, $2, $3) \
        ON CONFLICT (order_id) DO UPDATE SET status = $2";
    let upsert = sqlx::query(upsert).bind(event.order_id).bind(event.kind().as_str_name()).bind(event.total_cents);
    upsert.execute(&mut *connection).await?;
    for item in &event.items {
        let insert = "INSERT INTO analytics_items (order_id, product_id, quantity) VALUES ($1, $2, $3) \
            ON CONFLICT (order_id, product_id) DO NOTHING";
        let insert = sqlx::query(insert).bind(event.order_id).bind(item.product_id).bind(item.quantity);
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

/// What the orders add up to.
///
/// # Errors
/// The database's.
pub async fn sales(connection: &mut AnyConnection) -> sqlx::Result<Sales> {
    let select = "SELECT status, COUNT(*), CAST(SUM(total_cents) AS BIGINT) FROM analytics_orders GROUP BY status";
    let orders: Vec<(String, i64, i64)> = sqlx::query_as(select).fetch_all(&mut *connection).await?;
    let select = "SELECT product_id, CAST(SUM(quantity) AS BIGINT) FROM analytics_items \
        JOIN analytics_orders ON analytics_orders.order_id = analytics_items.order_id \
        WHERE status = 'COMPLETED' GROUP BY product_id";
    let items: Vec<(i64, i64)> = sqlx::query_as(select).fetch_all(connection).await?;
    let mut sales = Sales { completed_items: items.into_iter().collect(), ..Sales::default() };
    for (status, count, cents) in orders {
        match Kind::from_str_name(&status) {
            Some(Kind::Completed) => (sales.completed, sales.completed_cents) = (count, cents),
            Some(Kind::Cancelled) => sales.cancelled = count,
            _ => sales.pending = count,
        }
    }
    Ok(sales)
}
