//! The function: an event on standard input, a receipt on standard output.

use std::io::Read;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::books::print;
use crate::proto::OrderEvent;
use crate::proto::order_event::Kind;

/// Longer than any event.
const LONGEST: u64 = 1 << 20;

/// An event as the function reads it: JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Event {
    /// Its place among all events.
    pub sequence: i64,
    /// `created`, `completed` or `cancelled`.
    pub kind: String,
    /// The order.
    pub order_id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// Of all items.
    pub total_cents: i64,
    /// Pieces of all products.
    pub pieces: i64,
}

impl From<OrderEvent> for Event {
    fn from(event: OrderEvent) -> Self {
        let kind = match event.kind() {
            Kind::Unknown => "unknown",
            Kind::Created => "created",
            Kind::Completed => "completed",
            Kind::Cancelled => "cancelled",
        };
        Self {
            sequence: event.sequence,
            kind: kind.into(),
            order_id: event.order_id,
            user_id: event.user_id,
            total_cents: event.total_cents,
            pieces: event.items.iter().map(|item| item.quantity).sum(),
        }
    }
}

/// What a customer is sent; `None` for an event that calls for no letter.
#[must_use]
pub fn receipt(event: &Event) -> Option<String> {
    let Event { order_id, user_id, total_cents, pieces, .. } = event;
    let sum = format!("{}.{:02} €", total_cents / 100, total_cents % 100);
    match event.kind.as_str() {
        "completed" => Some(format!("Receipt for user {user_id}: order {order_id}, {pieces} pieces, {sum}, paid.")),
        "cancelled" => Some(format!("Note for user {user_id}: order {order_id} was cancelled, {sum} are not owed.")),
        _ => None,
    }
}

/// `shop receipt`: reads one event, writes its receipt, ends.
///
/// # Errors
/// Something on standard input that is no event.
pub fn run() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    let event = serde_json::from_str(&text).context("standard input must be one event as JSON")?;
    receipt(&event).map_or(Ok(()), |receipt| print(&receipt))
}
