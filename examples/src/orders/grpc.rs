//! Orders over gRPC: what happened, for whoever follows, and what was decided, for participants of two-phase commits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::try_unfold;
use tokio::time::sleep;
use tokio_stream::Stream;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

use super::{Orders, outbox, two_phase};
use crate::db;
use crate::proto::coordinator_server::{Coordinator, CoordinatorServer};
use crate::proto::order_events_server::{OrderEvents, OrderEventsServer};
use crate::proto::{self, OrderEvent};

/// Events are read from the database so many at a time.
const BATCH: i64 = 100;
/// How often the database is asked for new events: other replicas write them too.
const POLL: Duration = Duration::from_millis(100);

/// `OrderEvents` and `Coordinator`.
#[must_use]
pub fn services(orders: Orders) -> RoutesBuilder {
    let mut services = RoutesBuilder::default();
    services.add_service(OrderEventsServer::new(OrdersGrpc(orders.clone())));
    services.add_service(CoordinatorServer::new(OrdersGrpc(orders)));
    services
}

struct OrdersGrpc(Orders);

#[tonic::async_trait]
impl OrderEvents for OrdersGrpc {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<OrderEvent, Status>> + Send>>;

    async fn follow(&self, request: Request<proto::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        self.0.faults.delay().await;
        let after = request.into_inner().after;
        if after < 0 {
            return Err(Status::invalid_argument("after must be a sequence, or 0 for all events"));
        }
        let follower = Follower { orders: self.0.clone(), after, waiting: VecDeque::new() };
        Ok(Response::new(Box::pin(try_unfold(follower, Follower::next))))
    }

    async fn head(&self, _: Request<proto::HeadRequest>) -> Result<Response<proto::HeadResponse>, Status> {
        self.0.faults.delay().await;
        let head = async { outbox::head(&mut *self.0.db.pool.acquire().await?).await };
        let sequence = head.await.map_err(|error| db::status(&error))?;
        Ok(Response::new(proto::HeadResponse { sequence }))
    }
}

/// One reader of the events.
struct Follower {
    orders: Orders,
    /// The last sequence that was read.
    after: i64,
    /// Read and not sent yet.
    waiting: VecDeque<OrderEvent>,
}

impl Follower {
    /// The next event, as soon as there is one; none any more once this replica stops.
    async fn next(mut self) -> Result<Option<(OrderEvent, Self)>, Status> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some((event, self)));
            }
            let read = async { outbox::read(&mut *self.orders.db.pool.acquire().await?, self.after, BATCH).await };
            self.waiting = read.await.map_err(|error| db::status(&error))?.into();
            match self.waiting.back() {
                Some(last) => self.after = last.sequence,
                None if self.orders.stop.run_until_cancelled(sleep(POLL)).await.is_none() => return Ok(None),
                None => {}
            }
        }
    }
}

#[tonic::async_trait]
impl Coordinator for OrdersGrpc {
    async fn outcome(
        &self,
        request: Request<proto::OutcomeRequest>,
    ) -> Result<Response<proto::OutcomeResponse>, Status> {
        self.0.faults.delay().await;
        let id = request.into_inner().transaction_id;
        let outcome = async { two_phase::outcome(&mut *self.0.db.pool.acquire().await?, id).await };
        let decision = outcome.await.map_err(|error| db::status(&error))?.into();
        Ok(Response::new(proto::OutcomeResponse { decision }))
    }
}
