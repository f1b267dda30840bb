//! What users are told, in the database.

use serde::Serialize;
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;

use crate::page::Page;
use crate::proto::OrderEvent;
use crate::proto::order_event::Kind;

/// What a user is told.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
pub struct Notification {
    /// The sequence of the event that it is about.
    pub id: i64,
    /// Who is told.
    pub user_id: i64,
    /// The order that it is about.
    pub order_id: i64,
    /// What the user reads.
    pub text: String,
    /// Milliseconds since 1970.
    pub happened_at: i64,
}

/// Writes down what the user of the event's order is told.
///
/// # Errors
/// The database's.
pub async fn note(connection: &mut AnyConnection, event: &OrderEvent) -> sqlx::Result<()> {
    let (id, cents) = (event.order_id, event.total_cents);
    let text = match event.kind() {
        Kind::Created => format!("We have your order {id}."),
        Kind::Completed => format!("Your order {id} is on its way; {}.{:02} were charged.", cents / 100, cents % 100),
        Kind::Cancelled => format!("Your order {id} is cancelled; nothing is charged."),
        Kind::Unknown => return Ok(()),
    };
    let insert = "INSERT INTO notifications (id, user_id, order_id, text, happened_at) VALUES ($1, $2, $3, $4, $5)";
    let insert = sqlx::query(insert).bind(event.sequence).bind(event.user_id).bind(event.order_id);
    insert.bind(text).bind(event.happened_at).execute(connection).await?;
    Ok(())
}

/// What a user was told, or with no user what everybody was, in the order in which it happened.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection, user_id: Option<i64>, page: Page) -> sqlx::Result<Vec<Notification>> {
    let select = "SELECT id, user_id, order_id, text, happened_at FROM notifications \
        WHERE id > $1 AND ($2 = 0 OR user_id = $2) ORDER BY id LIMIT $3";
    let select = sqlx::query_as(select).bind(page.after).bind(user_id.unwrap_or(0)).bind(page.limit as i64);
    select.fetch_all(connection).await
}
