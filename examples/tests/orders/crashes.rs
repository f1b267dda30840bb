//! A real process of orders is killed at every step; the next one ends what it left.

use futures_util::future::join_all;
use serde_json::Value;

use crate::partners::{Partners, Trouble};
use crate::program::{Program, ended, get, order};
use crate::testing::on_each;

const FORWARD: [&str; 3] = ["create-order", "reserve-inventory", "charge-payment"];
const BACK: [&str; 3] = ["refund-payment", "release-inventory", "cancel-order"];

/// Lets a process die at `place`, starts another, and gives back the order that the client's second try got.
async fn crash_at(mode: &str, place: &str, database: &str, partners: &Partners) -> Value {
    let first = Program::start(database, &partners.urls, &[("CRASH_AT", place)]).await;
    assert_eq!(order(&first.url, mode, "k1").await, None, "{place}: nobody answers");
    first.crashed().await;
    let second = Program::start(database, &partners.urls, &[]).await;
    let again = order(&second.url, mode, "k1").await.unwrap();
    let ended = ended(&second.url).await;
    assert_eq!(again["id"], ended["id"], "{place}: the same order");
    assert_eq!(get(&second.url, "/orders/1").await["status"], 404);
    ended
}

/// The places before and after each step.
fn around(steps: [&str; 3]) -> Vec<String> {
    steps.iter().flat_map(|step| [format!("before-{step}"), format!("after-{step}")]).collect()
}

/// Runs `test` for each place, on each database, all at the same time.
async fn at_each(places: &[impl AsRef<str>], test: impl AsyncFn(&str, &str)) {
    let test = &test;
    let at = async |place: &str| on_each(async |database| test(place, database).await).await;
    join_all(places.iter().map(|place| at(place.as_ref()))).await;
}

#[tokio::test]
async fn an_order_that_is_killed_on_its_way_is_completed() {
    at_each(&around(FORWARD), async |place, database| {
        let partners = Partners::start().await;
        let order = crash_at("saga", place, database, &partners).await;
        let id = order["id"].as_i64().unwrap();
        assert_eq!(order["status"], "completed", "{place}: {order}");
        assert_eq!(partners.world.held(), (vec![id], vec![id]), "{place}");
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_killed_on_its_way_back_is_undone() {
    at_each(&around(BACK), async |place, database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::Refuse, 1);
        let order = crash_at("saga", place, database, &partners).await;
        assert_eq!(order["status"], "cancelled", "{place}: {order}");
        assert_eq!(partners.world.held(), (vec![], vec![]), "{place}");
    })
    .await;
}

const UNDECIDED: [&str; 5] = [
    "before-prepare-inventory",
    "after-prepare-inventory",
    "before-prepare-payment",
    "after-prepare-payment",
    "before-decide",
];
const DECIDED: [&str; 5] = [
    "after-decide",
    "before-finish-inventory",
    "after-finish-inventory",
    "before-finish-payment",
    "after-finish-payment",
];

#[tokio::test]
async fn a_coordinator_that_is_killed_before_its_decision_has_aborted() {
    at_each(&UNDECIDED, async |place, database| {
        let partners = Partners::start().await;
        let order = crash_at("2pc", place, database, &partners).await;
        assert_eq!(order["status"], "cancelled", "{place}: {order}");
        assert_eq!(order["reason"], "the coordinator ended before it had decided", "{place}");
        assert_eq!(partners.world.held(), (vec![], vec![]), "{place}");
        assert!(partners.world.in_doubt().is_empty(), "{place}");
    })
    .await;
}

#[tokio::test]
async fn a_coordinator_that_is_killed_after_its_decision_has_committed() {
    at_each(&DECIDED, async |place, database| {
        let partners = Partners::start().await;
        let order = crash_at("2pc", place, database, &partners).await;
        let id = order["id"].as_i64().unwrap();
        assert_eq!(order["status"], "completed", "{place}: {order}");
        assert_eq!(partners.world.held(), (vec![id], vec![id]), "{place}");
        assert!(partners.world.in_doubt().is_empty(), "{place}");
    })
    .await;
}

#[tokio::test]
async fn a_choreographed_order_that_is_killed_on_its_way_goes_on() {
    at_each(&around(FORWARD), async |place, database| {
        let partners = Partners::start().await;
        let order = crash_at("choreography", place, database, &partners).await;
        let id = order["id"].as_i64().unwrap();
        assert_eq!(order["status"], "completed", "{place}: {order}");
        assert_eq!(partners.world.held(), (vec![id], vec![id]), "{place}");
    })
    .await;
    at_each(&["before-release-inventory", "after-release-inventory"], async |place, database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::Refuse, 1);
        let order = crash_at("choreography", place, database, &partners).await;
        assert_eq!(order["status"], "cancelled", "{place}: {order}");
        assert_eq!(partners.world.held(), (vec![], vec![]), "{place}");
    })
    .await;
}
