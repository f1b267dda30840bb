//! What orders tells, and those who follow: nothing is left out and nothing counts twice, whoever dies meanwhile.

use futures_util::future::join_all;
use serde_json::{Value, json};
use weft_examples::proto::order_event::Kind;
use weft_examples::proto::order_events_client::OrderEventsClient;
use weft_examples::proto::{FollowRequest, OrderEvent};

use crate::nats::Nats;
use crate::partners::{Partners, Trouble};
use crate::program::{Program, get, order, until};
use crate::testing::on_each;

/// The next `count` events after `after`.
async fn follow(program: &Program, after: i64, count: usize) -> Vec<OrderEvent> {
    let mut client = OrderEventsClient::connect(program.grpc.clone()).await.unwrap();
    let mut stream = client.follow(FollowRequest { after }).await.unwrap().into_inner();
    let mut events = Vec::new();
    while events.len() < count {
        events.push(stream.message().await.unwrap().unwrap());
    }
    events
}

#[tokio::test]
async fn events_of_all_replicas_are_one_sequence_without_gaps() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::Refuse, 10);
        let (first, second) =
            tokio::join!(Program::start(database, &partners.urls, &[]), Program::start(database, &partners.urls, &[]));
        let keys: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        let replicas = [&first, &second].into_iter().cycle();
        let orders = join_all(keys.iter().zip(replicas).map(|(key, replica)| order(&replica.url, "saga", key)));
        let (events, _) = tokio::join!(follow(&second, 0, 80), orders);
        let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=80).collect::<Vec<_>>());
        let count = |kind: Kind| events.iter().filter(|event| event.kind() == kind).count();
        assert_eq!((count(Kind::Created), count(Kind::Completed), count(Kind::Cancelled)), (40, 30, 10));
        assert_eq!(follow(&first, 70, 10).await, events[70..]);
        assert_eq!((events[0].total_cents, events[0].items[0].quantity), (600, 2));
    })
    .await;
}

/// Analytics and notifications beside orders with 20 orders, 5 of them cancelled; analytics is killed in between. `settings`
/// say by what way the events go. All keep their tables in one database, which they would not outside a test.
async fn followers_agree_with_orders(database: &str, settings: &[(&str, &str)]) {
    let partners = Partners::start().await;
    partners.world.trouble("charge", Trouble::Refuse, 5);
    let orders = Program::start(database, &partners.urls, settings).await;
    let settings = [settings, &[("ORDERS_GRPC_URL", orders.grpc.as_str())]].concat();
    let keys: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    join_all(keys.iter().map(|key| order(&orders.url, "saga", key))).await;

    let slow = [settings.as_slice(), &[("SLOW", "300ms")]].concat();
    let analytics = Program::run("analytics", database, &slow).await;
    let is_behind = |lag: &Value| lag["applied"].as_i64() > Some(3) && lag["events"].as_i64() > Some(0);
    until(&analytics.url, "/sales", |sales| is_behind(&sales["lag"])).await;
    analytics.kill().await;
    let (analytics, twin, notifications) = tokio::join!(
        Program::run("analytics", database, &settings),
        Program::run("analytics", database, &settings),
        Program::run("notifications", database, &settings),
    );
    let sold = json!({
        "pending": 0, "completed": 15, "cancelled": 5, "completed_cents": 9000, "completed_items": { "3": 30 },
        "lag": { "applied": 40, "head": 40, "events": 0 },
    });
    for replica in [&analytics, &twin] {
        let mut sales = until(&replica.url, "/sales", |sales| sales["lag"]["events"] == 0).await;
        assert!(sales["lag"].as_object_mut().unwrap().remove("milliseconds").unwrap().as_i64() >= Some(0));
        assert_eq!(sales, sold);
    }
    let told = |list: &Value| list.as_array().unwrap().len() == 40;
    let list = until(&notifications.url, "/notifications?user_id=1", told).await;
    assert_eq!(list[0]["text"], format!("We have your order {}.", list[0]["order_id"]));
    assert_eq!(get(&notifications.url, "/notifications?user_id=2").await, json!([]));
}

#[tokio::test]
async fn those_who_follow_orders_agree_with_it() {
    on_each(async |database| followers_agree_with_orders(database, &[]).await).await;
}

#[tokio::test]
async fn those_who_follow_through_nats_agree_with_orders() {
    on_each(async |database| {
        let Some(nats) = Nats::start().await else { return };
        followers_agree_with_orders(database, &[("NATS_URL", nats.url())]).await;
    })
    .await;
}
