//! The task that carries orders out: those that this replica has just made, and those that nobody works on any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::lease::{Lease, Stopped};
use super::order::Mode;
use super::{Orders, saga, two_phase};
use crate::trace::TraceContext;

/// How often a replica looks for orders that nobody works on.
const LOOK: Duration = Duration::from_millis(500);
/// At most so many orders are worked on beside each other; others wait for their turn.
const MOST: usize = 200;

/// An order to be carried out.
#[derive(Debug)]
pub struct Work {
    /// The right to do it.
    pub lease: Lease,
    /// The trace of the request that asked for it; of an order that was left behind, none.
    pub trace: TraceContext,
    /// Closed once this replica has done what it can.
    pub done: Option<oneshot::Sender<()>>,
}

/// Works until the service is told to stop, then ends what is in the middle of a step.
pub async fn work(orders: Orders, mut queue: mpsc::Receiver<Work>) {
    let orders = Arc::new(orders);
    let mut running = JoinSet::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let has_room = running.len() < MOST;
        tokio::select! {
            biased;
            () = orders.stop.cancelled() => break,
            Some(_) = running.join_next() => {}
            Some(work) = queue.recv(), if has_room => {
                running.spawn(carry_out(orders.clone(), work));
            }
            _ = look.tick(), if has_room => for work in left_behind(&orders).await {
                running.spawn(carry_out(orders.clone(), work));
            },
        }
    }
    while running.join_next().await.is_some() {}
}

async fn left_behind(orders: &Orders) -> Vec<Work> {
    match Lease::take_up(&orders.db, orders.lasts).await {
        Ok(leases) => {
            leases.into_iter().map(|lease| Work { lease, trace: TraceContext::default(), done: None }).collect()
        }
        Err(error) => {
            warn!(%error, "cannot look for orders that were left behind");
            Vec::new()
        }
    }
}

async fn carry_out(orders: Arc<Orders>, work: Work) {
    let id = work.lease.order_id;
    match drive(&orders, &work.lease, &work.trace).await {
        Ok(()) => {}
        Err(Stopped::Database(error)) => warn!(order = id, %error, "left for later: the database did not answer"),
        Err(Stopped::Lost) => info!(order = id, "another replica goes on"),
        Err(Stopped::Stopping) => {
            if let Err(error) = work.lease.give_back(&orders.db).await {
                warn!(order = id, %error, "others have to wait until the lease runs out");
            }
        }
    }
}

async fn drive(orders: &Orders, lease: &Lease, trace: &TraceContext) -> Result<(), Stopped> {
    let order = orders.read(lease.order_id).await?;
    match order.mode {
        Mode::TwoPhase if !two_phase::is_over(&order) => two_phase::drive(orders, lease, &order, trace).await,
        // Whatever way an order was carried out, the saga's steps back undo it.
        Mode::Saga | Mode::TwoPhase | Mode::Choreography => saga::drive(orders, lease, trace).await,
    }
}
