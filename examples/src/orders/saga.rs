//! The saga of an order: three steps forward, and for each a step back.
//!
//! ```text
//! create-order -> reserve-inventory -> charge-payment
//!      ^                  ^                  ^
//! cancel-order <- release-inventory <- refund-payment
//! ```
//!
//! Each step is one transaction of one service, and there is none around them all: what a step did is seen by everyone at
//! once, and is undone by another step. That the order ends in one of two ways, all done or all undone, whoever dies
//! meanwhile, rests on five rules:
//!
//! 1. **The log comes first.** That a step is begun is written down before its call, and what came of it after ([`attempt`],
//!    [`record`]). What is to be done next follows from the log alone ([`next`]), so whoever reads it can go on.
//! 2. **Every step can be repeated.** Services know each call by the order's id. After a crash the step that was running is
//!    simply done again; whether it had happened does not matter.
//! 3. **There is no turning forward again.** Once the order has a reason to be cancelled its steps only go back. Services
//!    remember what they took back, and refuse the call forward that comes late.
//! 4. **Back always succeeds in the end.** A step forward is given up after some tries. A step back is tried until it is done.
//! 5. **One works on an order at a time**: who holds its lease (`lease.rs`). Every write to the log needs it.

use super::lease::{Lease, Stopped};
use super::order::{Order, Status, Step};
use super::partners::Failure;
use super::{Orders, store};
use crate::trace::TraceContext;

const FORWARD: [Step; 3] = [Step::CreateOrder, Step::ReserveInventory, Step::ChargePayment];
const BACK: [Step; 3] = [Step::RefundPayment, Step::ReleaseInventory, Step::CancelOrder];
/// How often a service that does not answer is asked to do a step forward.
const TRIES: i64 = 4;

/// Goes on with the order from where its log ends, until it is completed or cancelled.
///
/// # Errors
/// [`Stopped`]: somebody else goes on, now or later.
pub async fn drive(orders: &Orders, lease: &Lease, trace: &TraceContext) -> Result<(), Stopped> {
    loop {
        let order = orders.read(lease.order_id).await?;
        let Some(step) = next(&order) else { return Ok(()) };
        let attempt = attempt(orders, lease, step, call(orders, &order, step, trace)).await?;
        if record(orders, lease, step, &attempt).await? == Verdict::Again {
            orders.pause(attempt.tries).await?;
        }
    }
}

/// The step to take, by the log alone: the first forward that is not done, or once there is a reason, the first back of
/// what was begun. A step that was begun may have happened, whatever its log says.
#[must_use]
pub fn next(order: &Order) -> Option<Step> {
    let is_left = |step: &Step| !order.has_done(*step);
    match (order.status, &order.reason) {
        (Status::Pending, None) => FORWARD.into_iter().find(is_left),
        (Status::Pending, Some(_)) => BACK.into_iter().filter(|step| was_begun(order, *step)).find(is_left),
        (Status::Completed | Status::Cancelled, _) => None,
    }
}

/// Whether there may be something for this step back to undo.
fn was_begun(order: &Order, back: Step) -> bool {
    // An order of two-phase commit that its client cancels is undone by the same steps.
    let forward = match back {
        Step::RefundPayment => [Step::ChargePayment, Step::PreparePayment],
        Step::ReleaseInventory => [Step::ReserveInventory, Step::PrepareInventory],
        _ => [Step::CreateOrder; 2],
    };
    forward.into_iter().any(|step| order.entry(step).is_some())
}

/// The call that a step is. The first and the last are nobody's but ours: they are done by what [`record`] writes.
async fn call(orders: &Orders, order: &Order, step: Step, trace: &TraceContext) -> Result<(), Failure> {
    let partners = &orders.partners;
    match step {
        Step::ReserveInventory => partners.reserve(order, trace).await,
        Step::ChargePayment => partners.charge(order, trace).await,
        Step::RefundPayment => partners.refund(order.id, trace).await,
        Step::ReleaseInventory => partners.release(order.id, trace).await,
        _ => Ok(()),
    }
}

/// A step that was tried.
pub(super) struct Attempt {
    /// How often it now was.
    pub tries: i64,
    /// What came of it.
    pub outcome: Result<(), Failure>,
}

/// Writes down that `step` is begun, and makes its call.
pub(super) async fn attempt(
    orders: &Orders,
    lease: &Lease,
    step: Step,
    call: impl Future<Output = Result<(), Failure>>,
) -> Result<Attempt, Stopped> {
    let mut transaction = lease.begin(&orders.db).await?;
    let tries = store::begin(&mut transaction, lease.order_id, step).await?;
    transaction.commit().await?;
    orders.faults.crash_at("before", step.word());
    let outcome = call.await;
    orders.faults.crash_at("after", step.word());
    Ok(Attempt { tries, outcome })
}

/// What a step that was tried means for the order.
#[derive(PartialEq)]
enum Verdict {
    /// The next step is due.
    GoOn,
    /// The same step is due, after a pause.
    Again,
    /// The steps back are due.
    TurnBack,
}

/// Writes down what came of `step`, with all that follows from it.
async fn record(orders: &Orders, lease: &Lease, step: Step, attempt: &Attempt) -> Result<Verdict, Stopped> {
    let verdict = match &attempt.outcome {
        Ok(()) => Verdict::GoOn,
        Err(_) if BACK.contains(&step) => Verdict::Again,
        Err(Failure::NoAnswer(_)) if attempt.tries < TRIES => Verdict::Again,
        Err(_) => Verdict::TurnBack,
    };
    let id = lease.order_id;
    let mut transaction = lease.begin(&orders.db).await?;
    store::end(&mut transaction, id, step, &attempt.outcome).await?;
    match (&verdict, &attempt.outcome) {
        (Verdict::GoOn, _) if step == Step::ChargePayment => store::complete(&mut transaction, id).await?,
        (Verdict::GoOn, _) if step == Step::CancelOrder => store::cancel(&mut transaction, id).await?,
        (Verdict::TurnBack, Err(failure)) => store::turn_back(&mut transaction, id, &failure.to_string()).await?,
        _ => {}
    }
    transaction.commit().await?;
    Ok(verdict)
}
