//! The saga when services refuse, do not answer, or their answers are lost; and when several replicas run it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::partners::{Partners, Trouble};
use crate::program::{Program, ended, get, order, until};
use crate::testing::on_each;

/// The log, as in `reserve-inventory failed 2`.
fn steps(order: &Value) -> Vec<String> {
    let line = |step: &Value| {
        format!("{} {} {}", step["name"].as_str().unwrap(), step["state"].as_str().unwrap(), step["attempts"])
    };
    order["steps"].as_array().unwrap().iter().map(line).collect()
}

/// What becomes of an order when `calls` go wrong.
async fn with_trouble(calls: &[(&'static str, Trouble, u32)], check: impl AsyncFn(&Partners, Value)) {
    on_each(async |database| {
        let partners = Partners::start().await;
        for (name, trouble, times) in calls {
            partners.world.trouble(name, *trouble, *times);
        }
        let shop = Program::start(database, &partners.urls, &[]).await;
        order(&shop.url, "saga", "k1").await.unwrap();
        check(&partners, ended(&shop.url).await).await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_step_is_followed_by_the_steps_back_in_reverse() {
    with_trouble(&[("charge", Trouble::Refuse, 1)], async |partners, order| {
        assert_eq!((&order["status"], &order["reason"]), (&json!("cancelled"), &json!("charge is refused")));
        let expected = [
            "create-order done 1",
            "reserve-inventory done 1",
            "charge-payment failed 1",
            "refund-payment done 1",
            "release-inventory done 1",
            "cancel-order done 1",
        ];
        assert_eq!(steps(&order), expected);
        assert_eq!(partners.world.held(), (vec![], vec![]));
    })
    .await;
}

#[tokio::test]
async fn only_what_was_begun_is_undone() {
    with_trouble(&[("reserve", Trouble::Refuse, 1)], async |_, order| {
        let expected =
            ["create-order done 1", "reserve-inventory failed 1", "release-inventory done 1", "cancel-order done 1"];
        assert_eq!(steps(&order), expected);
    })
    .await;
}

#[tokio::test]
async fn a_step_that_is_not_answered_is_taken_again() {
    for trouble in [Trouble::NotDone, Trouble::DoneUnanswered] {
        with_trouble(&[("reserve", trouble, 1), ("charge", trouble, 2)], async |partners, order| {
            assert_eq!(order["status"], "completed");
            assert_eq!(steps(&order), ["create-order done 1", "reserve-inventory done 2", "charge-payment done 3"]);
            let id = order["id"].as_i64().unwrap();
            assert_eq!(partners.world.held(), (vec![id], vec![id]));
        })
        .await;
    }
}

#[tokio::test]
async fn a_step_that_is_never_answered_is_undone_though_it_may_have_happened() {
    with_trouble(&[("charge", Trouble::DoneUnanswered, 4)], async |partners, order| {
        assert_eq!(order["status"], "cancelled");
        assert_eq!(order["reason"], "payments: Unavailable: done, and not answered");
        assert_eq!(partners.world.held(), (vec![], vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_step_back_is_taken_until_it_succeeds() {
    let calls =
        [("charge", Trouble::Refuse, 1), ("refund", Trouble::DoneUnanswered, 2), ("release", Trouble::NotDone, 6)];
    with_trouble(&calls, async |partners, order| {
        assert_eq!(order["status"], "cancelled");
        assert_eq!(steps(&order)[3..], ["refund-payment done 3", "release-inventory done 7", "cancel-order done 1"]);
        assert_eq!(partners.world.held(), (vec![], vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_stops_hands_its_orders_to_another_at_once() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("reserve", Trouble::Refuse, 1);
        partners.world.trouble("release", Trouble::NotDone, 1000);
        let long = [("LEASE", "1000s")];
        let (first, second) = tokio::join!(
            Program::start(database, &partners.urls, &long),
            Program::start(database, &partners.urls, &long)
        );
        let pending = order(&first.url, "saga", "k1").await.unwrap();
        assert_eq!(pending["status"], "pending");
        first.stop().await;
        partners.world.trouble("release", Trouble::NotDone, 0);
        assert_eq!(ended(&second.url).await["status"], "cancelled");
    })
    .await;
}

#[tokio::test]
async fn the_books_hold_while_replicas_die() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::DoneUnanswered, 10);
        partners.world.trouble("reserve", Trouble::NotDone, 10);
        let survivor = Program::start(database, &partners.urls, &[]).await;
        for round in 0..3 {
            let victim = Program::start(database, &partners.urls, &[]).await;
            let keys: Vec<_> = (0..20).map(|number| format!("{round}-{number}")).collect();
            let orders = join_all(keys.iter().map(|key| order(&victim.url, "saga", key)));
            tokio::select! {
                _ = orders => {}
                () = sleep(Duration::from_millis(100)) => {}
            }
            victim.kill().await;
            join_all(keys.iter().map(|key| order(&survivor.url, "saga", key))).await;
        }
        until(&survivor.url, "/orders?status=pending", |pending| *pending == json!([])).await;
        let ids = async |status: &str| {
            let orders = get(&survivor.url, &format!("/orders?status={status}")).await;
            orders.as_array().unwrap().iter().map(|order| order["id"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let (completed, cancelled) = (ids("completed").await, ids("cancelled").await);
        assert_eq!(completed.len() + cancelled.len(), 60);
        assert_eq!(partners.world.held(), (completed.clone(), completed));
    })
    .await;
}
