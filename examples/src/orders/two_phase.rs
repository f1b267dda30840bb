//! Two-phase commit: the same order, all at once or not at all.
//!
//! ```text
//! prepare-inventory  \             / finish-inventory
//!                     >  decide  <
//! prepare-payment    /             \ finish-payment
//! ```
//!
//! First both are asked to do their part so that it can still be kept or dropped, and to promise to obey; then it is decided;
//! then both are told, until each has heard it. Nobody sees half an order, which is what the saga cannot offer. The price is
//! what the saga does not pay: from its promise until it hears the decision a participant holds stock and money back for an
//! order that may come to nothing, and it may not let go by itself. If the coordinator dies in between, that lasts until
//! another replica of it takes the order up.
//!
//! - **The decision is one row**, written before anyone is told ([`decide`]). A crash before it means that nobody was told to
//!   commit; a crash after it changes nothing any more.
//! - **Abort is presumed**: an order that is taken up again without a decision is aborted, and a participant that asks about
//!   a transaction that nobody knows ([`outcome`]) is told the same.
//! - **The first phase has a time limit**, that of a call: a vote that has not come by then is a no. The second has none.

use futures_util::future::{join, try_join};
use sqlx::AnyConnection;

use super::lease::{Lease, Stopped};
use super::order::{Mode, Order, State, Status, Step};
use super::partners::{Failure, Participant};
use super::saga::{Attempt, attempt};
use super::{Orders, store};
use crate::clock;
use crate::proto::Decision;
use crate::trace::TraceContext;

const NO_DECISION: &str = "the coordinator ended before it had decided";

/// Goes on with the order from where its log ends, until it is completed or cancelled.
///
/// # Errors
/// [`Stopped`]: somebody else goes on, now or later.
pub async fn drive(orders: &Orders, lease: &Lease, order: &Order, trace: &TraceContext) -> Result<(), Stopped> {
    let decided = decision(&mut *orders.db.pool.acquire().await?, order.id).await?;
    let was_asked = |participant: Participant| order.entry(participant.prepares()).is_some();
    let decision = match decided {
        Some(decision) => decision,
        None if !was_asked(Participant::Inventory) && !was_asked(Participant::Payments) => {
            let ask = |participant| vote(orders, lease, order, participant, trace);
            let (inventory, payments) = join(ask(Participant::Inventory), ask(Participant::Payments)).await;
            let votes = inventory?.and(payments?).map_err(|failure| failure.to_string());
            decide(orders, lease, votes).await?
        }
        None => decide(orders, lease, Err(NO_DECISION.to_owned())).await?,
    };
    let tell = |participant| tell(orders, lease, participant, decision, trace);
    try_join(tell(Participant::Inventory), tell(Participant::Payments)).await?;
    finish(orders, lease, decision).await
}

/// Phase one with one participant. No yes, for whatever reason, is a no.
async fn vote(
    orders: &Orders,
    lease: &Lease,
    order: &Order,
    participant: Participant,
    trace: &TraceContext,
) -> Result<Result<(), Failure>, Stopped> {
    let step = participant.prepares();
    let vote = attempt(orders, lease, step, orders.partners.prepare(participant, order, trace)).await?.outcome;
    let mut transaction = lease.begin(&orders.db).await?;
    store::end(&mut transaction, order.id, step, &vote).await?;
    transaction.commit().await?;
    Ok(vote)
}

/// Writes the decision down, for ever. Only who holds the lease can, so there is never a second one.
async fn decide(orders: &Orders, lease: &Lease, votes: Result<(), String>) -> Result<Decision, Stopped> {
    let (id, decision) = (lease.order_id, if votes.is_ok() { Decision::Commit } else { Decision::Abort });
    let mut transaction = lease.begin(&orders.db).await?;
    let insert = "INSERT INTO order_decisions (transaction_id, decision, decided_at) VALUES ($1, $2, $3)";
    let insert = sqlx::query(insert).bind(id).bind(decision.as_str_name()).bind(clock::now());
    insert.execute(&mut *transaction).await?;
    if let Err(reason) = votes {
        store::turn_back(&mut transaction, id, &reason).await?;
    }
    store::begin(&mut transaction, id, Step::Decide).await?;
    store::note(&mut transaction, id, Step::Decide, State::Done, decision.as_str_name()).await?;
    orders.faults.crash_at("before", Step::Decide.word());
    transaction.commit().await?;
    orders.faults.crash_at("after", Step::Decide.word());
    Ok(decision)
}

/// Phase two with one participant: it is told until it has heard.
async fn tell(
    orders: &Orders,
    lease: &Lease,
    participant: Participant,
    decision: Decision,
    trace: &TraceContext,
) -> Result<(), Stopped> {
    let step = participant.finishes();
    loop {
        let told = orders.partners.tell(participant, lease.order_id, decision, trace);
        let Attempt { tries, outcome } = attempt(orders, lease, step, told).await?;
        let mut transaction = lease.begin(&orders.db).await?;
        store::end(&mut transaction, lease.order_id, step, &outcome).await?;
        transaction.commit().await?;
        if outcome.is_ok() {
            return Ok(());
        }
        orders.pause(tries).await?;
    }
}

async fn finish(orders: &Orders, lease: &Lease, decision: Decision) -> Result<(), Stopped> {
    let mut transaction = lease.begin(&orders.db).await?;
    match decision {
        Decision::Commit => store::complete(&mut transaction, lease.order_id).await?,
        Decision::Abort | Decision::Undecided => store::cancel(&mut transaction, lease.order_id).await?,
    }
    Ok(transaction.commit().await?)
}

/// Whether two-phase commit has done its part, and what is left is to undo it all: a client cancels what was committed.
#[must_use]
pub fn is_over(order: &Order) -> bool {
    let was_committed = order.entry(Step::Decide).is_some_and(|entry| entry.detail == Decision::Commit.as_str_name());
    was_committed && order.reason.is_some()
}

/// What a participant is told that asks.
///
/// # Errors
/// The database's.
pub async fn outcome(connection: &mut AnyConnection, transaction_id: i64) -> sqlx::Result<Decision> {
    if let Some(decision) = decision(connection, transaction_id).await? {
        return Ok(decision);
    }
    let order = store::find(connection, transaction_id).await?;
    let is_open = order.is_some_and(|order| order.mode == Mode::TwoPhase && order.status == Status::Pending);
    Ok(if is_open { Decision::Undecided } else { Decision::Abort })
}

async fn decision(connection: &mut AnyConnection, transaction_id: i64) -> sqlx::Result<Option<Decision>> {
    let select = "SELECT decision FROM order_decisions WHERE transaction_id = $1";
    let row: Option<(String,)> = sqlx::query_as(select).bind(transaction_id).fetch_optional(connection).await?;
    Ok(row.and_then(|(word,)| Decision::from_str_name(&word)))
}
