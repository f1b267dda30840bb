//! Two-phase commit when participants refuse or do not answer, and what blocks when the coordinator is gone.

use serde_json::{Value, json};
use weft_examples::proto::coordinator_client::CoordinatorClient;
use weft_examples::proto::{Decision, OutcomeRequest};

use crate::partners::{Partners, Trouble};
use crate::program::{Program, ended, get, order};
use crate::testing::on_each;

async fn outcome(program: &Program, transaction_id: i64) -> Decision {
    let mut coordinator = CoordinatorClient::connect(program.grpc.clone()).await.unwrap();
    coordinator.outcome(OutcomeRequest { transaction_id }).await.unwrap().into_inner().decision()
}

/// What becomes of an order when `calls` go wrong, and what the coordinator tells whoever asks about it.
async fn with_trouble(calls: &[(&'static str, Trouble, u32)], check: impl AsyncFn(&Partners, Value, Decision)) {
    on_each(async |database| {
        let partners = Partners::start().await;
        for (name, trouble, times) in calls {
            partners.world.trouble(name, *trouble, *times);
        }
        let shop = Program::start(database, &partners.urls, &[]).await;
        order(&shop.url, "2pc", "k1").await.unwrap();
        let order = ended(&shop.url).await;
        assert!(partners.world.in_doubt().is_empty());
        let outcome = outcome(&shop, order["id"].as_i64().unwrap()).await;
        check(&partners, order, outcome).await;
    })
    .await;
}

#[tokio::test]
async fn an_order_that_all_promise_is_committed() {
    with_trouble(&[], async |partners, order, outcome| {
        let id = order["id"].as_i64().unwrap();
        assert_eq!((&order["status"], outcome), (&json!("completed"), Decision::Commit));
        assert_eq!(partners.world.held(), (vec![id], vec![id]));
    })
    .await;
}

#[tokio::test]
async fn one_no_aborts_for_all() {
    for (no, reason) in [
        (("prepare-payment", Trouble::Refuse, 1), "prepare-payment is refused"),
        (("prepare-inventory", Trouble::DoneUnanswered, 1), "a participant: Unavailable: done, and not answered"),
    ] {
        with_trouble(&[no], async |partners, order, outcome| {
            assert_eq!((&order["status"], outcome), (&json!("cancelled"), Decision::Abort));
            assert_eq!(order["reason"], reason);
            assert_eq!(partners.world.held(), (vec![], vec![]));
        })
        .await;
    }
}

#[tokio::test]
async fn the_decision_is_told_until_it_is_heard() {
    let calls = [("finish-inventory", Trouble::NotDone, 3), ("finish-payment", Trouble::DoneUnanswered, 4)];
    with_trouble(&calls, async |partners, order, outcome| {
        let id = order["id"].as_i64().unwrap();
        assert_eq!((&order["status"], outcome), (&json!("completed"), Decision::Commit));
        assert_eq!(partners.world.held(), (vec![id], vec![id]));
    })
    .await;
}

#[tokio::test]
async fn promises_are_held_as_long_as_the_coordinator_is_gone() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let first =
            Program::start(database, &partners.urls, &[("CRASH_AT", "before-decide"), ("LEASE", "1000s")]).await;
        assert_eq!(order(&first.url, "2pc", "k1").await, None);
        first.crashed().await;
        // Another replica that still thinks the first alive: it may not decide, and nobody may let go.
        let second = Program::start(database, &partners.urls, &[]).await;
        let pending = &get(&second.url, "/orders").await[0];
        let id = pending["id"].as_i64().unwrap();
        assert_eq!((&pending["status"], outcome(&second, id).await), (&json!("pending"), Decision::Undecided));
        assert!(partners.world.in_doubt().contains(&id));
        assert_eq!(outcome(&second, id + 1).await, Decision::Abort, "nobody knows it");
    })
    .await;
}
