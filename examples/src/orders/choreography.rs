//! The same saga without a conductor: each service reacts to what another tells, and tells what it has done.
//!
//! | who | hears | does | tells |
//! |---|---|---|---|
//! | inventory | order-placed | reserves | items-reserved, or items-short |
//! | payments | items-reserved | charges | order-paid, or payment-declined |
//! | inventory | payment-declined | releases | items-released |
//! | orders | order-paid | completes the order | |
//! | orders | items-short, items-released | cancels the order | |
//!
//! What is gained: no service knows the whole, and none has to be changed for another one that listens. What is lost: nowhere
//! is written what happens after what (compare `saga.rs`: [`reaction`] is spread over three services), and nobody watches the
//! time: an order whose next service is away stays pending until that one is back.
//!
//! The three stand side by side in this process, since inventory and payments speak calls and not events; they share nothing
//! but the events. Whoever dies leaves an event that is not dealt with; any replica deals with it, by calls that can be
//! repeated. If two do, one alone can tell the next event.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::AnyConnection;
use tokio::time::sleep;
use tracing::warn;

use super::order::{Order, Step, words};
use super::partners::Failure;
use super::{Orders, store};
use crate::clock;
use crate::trace::TraceContext;

const POLL: Duration = Duration::from_millis(100);
/// Events that one of the three deals with beside each other.
const BATCH: i64 = 50;

words! {
    /// What is told of an order.
    Event {
        /// By orders: there is a new one.
        OrderPlaced = "order-placed",
        /// By inventory: its items are set aside.
        ItemsReserved = "items-reserved",
        /// By inventory: they cannot be.
        ItemsShort = "items-short",
        /// By payments: its price was charged.
        OrderPaid = "order-paid",
        /// By payments: it cannot be.
        PaymentDeclined = "payment-declined",
        /// By inventory: its items were given back.
        ItemsReleased = "items-released",
    }
}

const INVENTORY: &[Event] = &[Event::OrderPlaced, Event::PaymentDeclined];
const PAYMENTS: &[Event] = &[Event::ItemsReserved];
const ORDERS: &[Event] = &[Event::OrderPaid, Event::ItemsShort, Event::ItemsReleased];

/// Lets the three listen until the service is told to stop.
pub async fn perform(orders: &Orders) {
    orders.stop.run_until_cancelled(join_all([INVENTORY, PAYMENTS, ORDERS].map(|hears| listen(orders, hears)))).await;
}

/// Tells that something happened, as part of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn tell(connection: &mut AnyConnection, order_id: i64, event: Event, detail: &str) -> sqlx::Result<()> {
    let insert =
        "INSERT INTO order_choreography (order_id, event, detail, told_at, done_at) VALUES ($1, $2, $3, $4, 0)";
    let insert = sqlx::query(insert).bind(order_id).bind(event.word()).bind(detail).bind(clock::now());
    insert.execute(connection).await?;
    Ok(())
}

async fn listen(orders: &Orders, hears: &[Event]) -> std::convert::Infallible {
    loop {
        for event in hears {
            if let Err(error) = deal_with(orders, *event).await {
                warn!(%error, event = event.word(), "events wait: the database did not answer");
            }
        }
        sleep(POLL).await;
    }
}

/// Deals with those of one kind that are waiting. One that cannot be dealt with now is left for the next time.
async fn deal_with(orders: &Orders, event: Event) -> sqlx::Result<()> {
    let select = "SELECT order_id, detail FROM order_choreography WHERE done_at = 0 AND event = $1 \
        ORDER BY told_at LIMIT $2";
    let select = sqlx::query_as(select).bind(event.word()).bind(BATCH);
    let waiting: Vec<(i64, String)> = select.fetch_all(&orders.db.pool).await?;
    let reactions = waiting.iter().map(|(id, detail)| react(orders, *id, event, detail));
    join_all(reactions).await.into_iter().collect()
}

/// What the one who hears `event` does, and what it tells then: the first where that was done, the second where it was refused.
fn reaction(event: Event) -> Option<(Step, Event, Event)> {
    match event {
        Event::OrderPlaced => Some((Step::ReserveInventory, Event::ItemsReserved, Event::ItemsShort)),
        Event::ItemsReserved => Some((Step::ChargePayment, Event::OrderPaid, Event::PaymentDeclined)),
        Event::PaymentDeclined => Some((Step::ReleaseInventory, Event::ItemsReleased, Event::ItemsReleased)),
        Event::OrderPaid | Event::ItemsShort | Event::ItemsReleased => None,
    }
}

async fn react(orders: &Orders, id: i64, event: Event, detail: &str) -> sqlx::Result<()> {
    let Some((step, done, refused)) = reaction(event) else { return finish(orders, id, event, detail).await };
    let mut transaction = orders.db.begin().await?;
    if !store::goes_forward(&mut transaction, id).await? {
        // Its client has cancelled it: it is undone by the saga's steps back, and nothing more is begun.
        settle(&mut transaction, id, event).await?;
        return transaction.commit().await;
    }
    store::begin(&mut transaction, id, step).await?;
    transaction.commit().await?;

    let Some(order) = store::find(&mut *orders.db.pool.acquire().await?, id).await? else { return Ok(()) };
    orders.faults.crash_at("before", step.word());
    let outcome = call(orders, &order, step).await;
    orders.faults.crash_at("after", step.word());

    let mut transaction = orders.db.begin().await?;
    store::end(&mut transaction, id, step, &outcome).await?;
    let next = match &outcome {
        Ok(()) => Some((done, detail)),
        Err(Failure::Refused(reason)) => Some((refused, reason.as_str())),
        Err(Failure::NoAnswer(_)) => None,
    };
    if let Some((next, detail)) = next
        && settle(&mut transaction, id, event).await?
    {
        tell(&mut transaction, id, next, detail).await?;
    }
    transaction.commit().await
}

async fn call(orders: &Orders, order: &Order, step: Step) -> Result<(), Failure> {
    let trace = TraceContext::default();
    match step {
        Step::ReserveInventory => orders.partners.reserve(order, &trace).await,
        Step::ChargePayment => orders.partners.charge(order, &trace).await,
        _ => orders.partners.release(order.id, &trace).await,
    }
}

/// What orders does: the end.
async fn finish(orders: &Orders, id: i64, event: Event, reason: &str) -> sqlx::Result<()> {
    let mut transaction = orders.db.begin().await?;
    if event == Event::OrderPaid {
        store::complete(&mut transaction, id).await?;
    } else if store::goes_forward(&mut transaction, id).await? {
        store::turn_back(&mut transaction, id, reason).await?;
        store::cancel(&mut transaction, id).await?;
    }
    settle(&mut transaction, id, event).await?;
    transaction.commit().await
}

/// Notes that the event is dealt with. False where another replica was faster.
async fn settle(connection: &mut AnyConnection, id: i64, event: Event) -> sqlx::Result<bool> {
    let update = "UPDATE order_choreography SET done_at = $3 WHERE order_id = $1 AND event = $2 AND done_at = 0";
    let update = sqlx::query(update).bind(id).bind(event.word()).bind(clock::now());
    Ok(update.execute(connection).await?.rows_affected() == 1)
}
