//! The choreographed order: it comes to the same ends as the saga, and waits where the saga gives up.

use serde_json::json;

use crate::partners::{Partners, Trouble};
use crate::program::{Program, ended, get, order};
use crate::testing::on_each;

#[tokio::test]
async fn services_that_react_to_each_other_complete_an_order() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let (first, second) =
            tokio::join!(Program::start(database, &partners.urls, &[]), Program::start(database, &partners.urls, &[]));
        partners.world.trouble("charge", Trouble::DoneUnanswered, 6);
        order(&first.url, "choreography", "k1").await.unwrap();
        let order = ended(&second.url).await;
        let id = order["id"].as_i64().unwrap();
        assert_eq!(order["status"], "completed", "{order}");
        assert_eq!(partners.world.held(), (vec![id], vec![id]));
    })
    .await;
}

#[tokio::test]
async fn what_one_cannot_do_the_others_undo() {
    for (refused, reason) in [("reserve", "reserve is refused"), ("charge", "charge is refused")] {
        on_each(async |database| {
            let partners = Partners::start().await;
            partners.world.trouble(refused, Trouble::Refuse, 2);
            partners.world.trouble("release", Trouble::NotDone, 2);
            let shop = Program::start(database, &partners.urls, &[]).await;
            order(&shop.url, "choreography", "k1").await.unwrap();
            let order = ended(&shop.url).await;
            assert_eq!((&order["status"], &order["reason"]), (&json!("cancelled"), &json!(reason)));
            assert_eq!(partners.world.held(), (vec![], vec![]));
        })
        .await;
    }
}

#[tokio::test]
async fn a_choreographed_order_can_be_cancelled_while_a_service_is_away() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::NotDone, 100_000);
        let shop = Program::start(database, &partners.urls, &[]).await;
        let pending = order(&shop.url, "choreography", "k1").await.unwrap();
        assert_eq!(pending["status"], "pending", "nobody gives up");
        let url = format!("{}/orders/{}/cancel", shop.url, pending["id"]);
        assert!(reqwest::Client::new().post(url).send().await.unwrap().status().is_success());
        assert_eq!(ended(&shop.url).await["status"], "cancelled");
        partners.world.trouble("charge", Trouble::NotDone, 0);
        assert_eq!(get(&shop.url, "/books").await["cancelled"], 1);
        assert_eq!(partners.world.held(), (vec![], vec![]));
    })
    .await;
}
