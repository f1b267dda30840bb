//! Two-phase commits as a participant sees them, on both databases.

use std::sync::Arc;
use std::time::Duration;

use tonic::service::RoutesBuilder;
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::db::testing::on_each;
use crate::faults::Faults;
use crate::inventory::{self, StockWork};
use crate::payments::{self, Money};
use crate::proto::coordinator_server::{Coordinator, CoordinatorServer};
use crate::proto::participant_client::ParticipantClient;
use crate::proto::{self, Item, OutcomeRequest, OutcomeResponse, Payment, Reservation};
use crate::testing::with_channel;

fn reservation(product_id: i64, quantity: i64) -> Asked {
    Asked::Reserve(Reservation { items: vec![Item { product_id, quantity }] })
}

/// A participant as a process that starts has it.
async fn started(url: &str) -> Participant<StockWork> {
    Participant::open(Db::open(url, &inventory::MIGRATIONS).await.unwrap(), StockWork).await.unwrap()
}

async fn in_doubt(participant: &Participant<impl Work>) -> Vec<i64> {
    participant.in_doubt().await.unwrap().iter().map(|promise| promise.id).collect()
}

/// Reserved of a product.
async fn reserved(participant: &Participant<StockWork>, product_id: i64) -> i64 {
    let stock = inventory::list(&mut participant.db.pool.acquire().await.unwrap()).await.unwrap();
    stock.iter().find(|stock| stock.product_id == product_id).unwrap().reserved
}

#[tokio::test]
async fn a_promise_outlives_its_process_and_is_kept() {
    on_each(async |url| {
        let before = started(url).await;
        before.prepare(7, reservation(1, 10)).await.unwrap();
        before.db.pool.close().await;
        let after = started(url).await;
        assert_eq!(in_doubt(&after).await, [7]);
        after.prepare(7, reservation(1, 10)).await.unwrap();
        after.decide(7, Decision::Commit).await.unwrap();
        after.decide(7, Decision::Commit).await.unwrap();
        assert_eq!((in_doubt(&after).await, reserved(&after, 1).await), (vec![], 10));
        after.prepare(7, reservation(1, 10)).await.unwrap();
        assert_eq!((in_doubt(&after).await, reserved(&after, 1).await), (vec![], 10));
    })
    .await;
}

#[tokio::test]
async fn a_promise_outlives_its_process_and_is_dropped() {
    on_each(async |url| {
        let before = started(url).await;
        before.prepare(7, reservation(1, 10)).await.unwrap();
        before.db.pool.close().await;
        let after = started(url).await;
        after.decide(7, Decision::Abort).await.unwrap();
        after.decide(7, Decision::Abort).await.unwrap();
        assert_eq!((in_doubt(&after).await, reserved(&after, 1).await), (vec![], 0));
        let late = after.prepare(7, reservation(1, 10)).await.unwrap_err();
        assert_eq!(late.to_string(), "order 7 was released before: its reservation came too late");
    })
    .await;
}

#[tokio::test]
async fn what_is_promised_nobody_else_gets() {
    on_each(async |url| {
        let participant = started(url).await;
        participant.prepare(1, reservation(1, 1000)).await.unwrap();
        // SQLite says that it is gone; PostgreSQL lets the second wait for the decision, for a time.
        participant.prepare(2, reservation(1, 1)).await.unwrap_err();
        participant.prepare(3, reservation(2, 1)).await.unwrap();
        participant.decide(1, Decision::Abort).await.unwrap();
        participant.prepare(4, reservation(1, 1)).await.unwrap();
        assert_eq!(in_doubt(&participant).await, [3, 4]);
    })
    .await;
}

#[tokio::test]
async fn a_no_is_for_ever() {
    on_each(async |url| {
        let participant = started(url).await;
        let no = participant.prepare(7, reservation(1, 1001)).await.unwrap_err();
        assert_eq!(no.to_string(), "there are not 1001 of product 1 left");
        let mut work = participant.db.begin().await.unwrap();
        inventory::restock(&mut work, 1, 10).await.unwrap();
        work.commit().await.unwrap();
        assert!(matches!(participant.prepare(7, reservation(1, 1001)).await, Err(Refusal::No(_))));
        assert_eq!((in_doubt(&participant).await, reserved(&participant, 1).await), (vec![], 0));
    })
    .await;
}

#[tokio::test]
async fn an_abort_that_overtakes_its_prepare_wins() {
    on_each(async |url| {
        let participant = started(url).await;
        participant.decide(7, Decision::Abort).await.unwrap();
        assert!(matches!(participant.prepare(7, reservation(1, 1)).await, Err(Refusal::No(_))));
        participant.decide(8, Decision::Commit).await.unwrap();
        assert_eq!((in_doubt(&participant).await, reserved(&participant, 1).await), (vec![], 0));
    })
    .await;
}

#[tokio::test]
async fn participants_that_share_a_server_keep_their_promises_apart() {
    on_each(async |url| {
        let stock = started(url).await;
        let db = Db::open(url, &payments::MIGRATIONS).await.unwrap();
        let money = Participant::open(db, Money { opening_cents: 500 }).await.unwrap();
        stock.prepare(7, reservation(1, 1)).await.unwrap();
        money.prepare(7, Asked::Charge(Payment { user_id: 44, amount_cents: 500 })).await.unwrap();
        stock.decide(7, Decision::Commit).await.unwrap();
        assert_eq!((in_doubt(&stock).await, in_doubt(&money).await), (vec![], vec![7]));
        money.decide(7, Decision::Abort).await.unwrap();
        let accounts = payments::list(&mut money.db.pool.acquire().await.unwrap()).await.unwrap();
        assert!(accounts.iter().all(|account| account.charged_cents == 0), "{accounts:?}");
    })
    .await;
}

/// Has decided to commit order 1 and to abort order 2, and not yet what becomes of order 3.
struct Decided;

#[tonic::async_trait]
impl Coordinator for Decided {
    async fn outcome(&self, request: Request<OutcomeRequest>) -> Result<Response<OutcomeResponse>, Status> {
        let decision = match request.into_inner().transaction_id {
            1 => Decision::Commit,
            2 => Decision::Abort,
            _ => Decision::Undecided,
        };
        Ok(Response::new(OutcomeResponse { decision: decision.into() }))
    }
}

#[tokio::test]
async fn who_waits_for_too_long_asks_the_coordinator() {
    on_each(async |url| {
        let participant = started(url).await;
        for id in 1..=3 {
            participant.prepare(id, reservation(id, 10)).await.unwrap();
        }
        let mut services = RoutesBuilder::default();
        services.add_service(CoordinatorServer::new(Decided));
        with_channel(services, async |channel| {
            let patient = Recovery::new(channel.clone(), Duration::from_secs(3600));
            patient.look(&participant).await;
            assert_eq!(in_doubt(&participant).await, [1, 2, 3]);
            let recovery = Recovery::new(channel, Duration::ZERO);
            recovery.look(&participant).await;
        })
        .await;
        assert_eq!(in_doubt(&participant).await, [3]);
        assert_eq!((reserved(&participant, 1).await, reserved(&participant, 2).await), (10, 0));
    })
    .await;
}

#[tokio::test]
async fn over_grpc_a_no_is_an_answer_and_nonsense_is_an_error() {
    on_each(async |url| {
        let participant = Arc::new(started(url).await);
        let mut services = RoutesBuilder::default();
        services.add_service(service(participant, Arc::new(Faults::none())));
        with_channel(services, async |channel| {
            let mut client = ParticipantClient::new(channel);
            let prepare = |transaction_id, work| proto::PrepareRequest { transaction_id, work };
            let yes = client.prepare(prepare(1, Some(reservation(1, 1)))).await.unwrap().into_inner();
            assert_eq!((yes.yes, yes.reason.as_str()), (true, ""));
            let charge = Asked::Charge(Payment { user_id: 1, amount_cents: 1 });
            let no = client.prepare(prepare(2, Some(charge))).await.unwrap().into_inner();
            assert_eq!(
                (no.yes, no.reason.as_str()),
                (false, "inventory takes reservations, and was asked for another work")
            );
            let listed = client.list_in_doubt(proto::ListInDoubtRequest {}).await.unwrap().into_inner();
            assert_eq!(listed.transaction_ids, [1]);
            let nothing = client.prepare(prepare(3, None)).await.unwrap_err();
            assert_eq!(nothing.code(), Code::InvalidArgument);
            let undecided = client.decide(proto::DecideRequest { transaction_id: 1, decision: 0 }).await.unwrap_err();
            assert_eq!(undecided.message(), "say what was decided: COMMIT or ABORT");
        })
        .await;
    })
    .await;
}
