//! A service that deals with events, one after the other.

use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use sqlx::AnyConnection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use utoipa::ToSchema;

use super::Source;
use crate::clock;
use crate::db::Db;
use crate::proto::OrderEvent;

const PAUSE: Duration = Duration::from_millis(500);

/// Deals with all events from `source`, from where `name` has got to, until `stop`. `apply` is given each event with a
/// transaction in which it writes what it likes; `name`'s row of `event_cursors` says in the same transaction that it has.
/// Whatever fails is tried again after half a second.
///
/// # Cancel safety
/// An event that was not dealt with to its end comes again.
pub async fn consume(
    db: &Db,
    source: &Source,
    name: &str,
    apply: impl AsyncFn(&mut AnyConnection, &OrderEvent) -> sqlx::Result<()>,
    stop: CancellationToken,
) {
    let reading = async {
        loop {
            if let Err(error) = read(db, source, name, &apply).await {
                warn!(error = format!("{error:#}"), "the events broke off; going on where they did");
            }
            sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(reading).await;
}

async fn read(
    db: &Db,
    source: &Source,
    name: &str,
    apply: &impl AsyncFn(&mut AnyConnection, &OrderEvent) -> sqlx::Result<()>,
) -> anyhow::Result<()> {
    let insert = "INSERT INTO event_cursors (name, sequence, happened_at, applied_at) VALUES ($1, 0, 0, 0) \
        ON CONFLICT (name) DO NOTHING";
    sqlx::query(insert).bind(name).execute(&db.pool).await?;
    let mut events = source.follow(cursor(db, name).await?.sequence).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        let mut transaction = db.begin().await?;
        if advance(&mut transaction, name, &event).await? {
            apply(&mut transaction, &event).await?;
            transaction.commit().await?;
            continue;
        }
        drop(transaction);
        let reached = cursor(db, name).await?.sequence;
        anyhow::ensure!(event.sequence <= reached, "event {} came after event {reached}", event.sequence);
    }
    Ok(())
}

/// Moves the cursor to the event if it is the next one. False for one that was dealt with before, and after a gap.
async fn advance(connection: &mut AnyConnection, name: &str, event: &OrderEvent) -> sqlx::Result<bool> {
    let update = "UPDATE event_cursors SET sequence = $2, happened_at = $3, applied_at = $4 \
        WHERE name = $1 AND sequence = $5";
    let update = sqlx::query(update).bind(name).bind(event.sequence).bind(event.happened_at).bind(clock::now());
    Ok(update.bind(event.sequence - 1).execute(connection).await?.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct Cursor {
    sequence: i64,
    happened_at: i64,
    applied_at: i64,
}

async fn cursor(db: &Db, name: &str) -> sqlx::Result<Cursor> {
    let select = "SELECT sequence, happened_at, applied_at FROM event_cursors WHERE name = $1";
    let cursor = sqlx::query_as(select).bind(name).fetch_optional(&db.pool).await?;
    Ok(cursor.unwrap_or(Cursor { sequence: 0, happened_at: 0, applied_at: 0 }))
}

/// How far a consumer is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lag {
    /// The sequence of the last event that was dealt with.
    pub applied: i64,
    /// The last sequence that there is; null where nobody says.
    pub head: Option<i64>,
    /// How many events are still to come.
    pub events: Option<i64>,
    /// How long after it happened the last event was dealt with.
    pub milliseconds: i64,
}

/// How far the consumer `name` is behind `source`.
///
/// # Errors
/// The database's.
pub async fn lag(db: &Db, source: &Source, name: &str) -> sqlx::Result<Lag> {
    let head = source.head().await.inspect_err(|error| warn!(%error, "nobody says how far the events go")).ok();
    let Cursor { sequence, happened_at, applied_at } = cursor(db, name).await?;
    let events = head.map(|head| (head - sequence).max(0));
    Ok(Lag { applied: sequence, head, events, milliseconds: applied_at - happened_at })
}
