//! Orders over REST, as a client sees them.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::partners::{Partners, Trouble};
use crate::program::{Program, get, order, until};
use crate::testing::on_each;

async fn post(url: &str, body: &Value) -> Response {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    Client::new().post(format!("{url}/orders")).header("traceparent", trace).json(body).send().await.unwrap()
}

async fn refused(answer: Response, status: StatusCode) -> String {
    assert_eq!(answer.status(), status);
    answer.json::<Value>().await.unwrap()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_order_is_priced_carried_out_and_found_again() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let shop = Program::start(database, &partners.urls, &[]).await;
        let items = json!([{ "product_id": 2, "quantity": 3 }, { "product_id": 5 }]);
        let answer = post(&shop.url, &json!({ "user_id": 2, "items": items })).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let order: Value = answer.json().await.unwrap();
        assert_eq!(location, format!("/orders/{}", order["id"]));
        assert_eq!((&order["status"], &order["reason"]), (&json!("completed"), &json!(null)));
        assert_eq!((&order["user_name"], &order["total_cents"]), (&json!("Grace Hopper"), &json!(1100)));
        let first = json!({ "product_id": 2, "name": "product 2", "quantity": 3, "price_cents": 200 });
        assert_eq!(order["items"][0], first);
        assert_eq!(get(&shop.url, &location).await, order);
        assert_eq!(partners.world.traces(), ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
    })
    .await;
}

#[tokio::test]
async fn orders_are_listed_by_user_status_and_page() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let shop = Program::start(database, &partners.urls, &[]).await;
        for user in [1, 2, 1] {
            let body = json!({ "user_id": user, "items": [{ "product_id": 1 }] });
            assert_eq!(post(&shop.url, &body).await.status(), StatusCode::CREATED);
        }
        let ids = async |query: &str| {
            let list = get(&shop.url, &format!("/orders?{query}")).await;
            list.as_array().unwrap().iter().map(|order| order["id"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let all = ids("").await;
        assert_eq!(all.len(), 3);
        assert_eq!(ids("user_id=1").await, [all[0], all[2]]);
        assert_eq!(ids(&format!("after={}&limit=1", all[0])).await, [all[1]]);
        assert_eq!(ids("status=completed&user_id=2").await, [all[1]]);
        assert!(ids("status=cancelled").await.is_empty());
        let wrong = reqwest::get(format!("{}/orders?status=lost", shop.url)).await.unwrap();
        let detail = refused(wrong, StatusCode::BAD_REQUEST).await;
        assert_eq!(detail, r#"status: "lost" is none of pending, completed, cancelled"#);
    })
    .await;
}

#[tokio::test]
async fn an_order_of_what_is_not_known_is_not_made() {
    let partners = Partners::start().await;
    on_each(async |database| {
        let shop = Program::start(database, &partners.urls, &[]).await;
        let nobody = post(&shop.url, &json!({ "user_id": 99, "items": [{ "product_id": 1 }] })).await;
        let detail = refused(nobody, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(detail, "nothing was ordered: there is no user 99");
        let nothing = post(&shop.url, &json!({ "user_id": 1, "items": [{ "product_id": 9 }] })).await;
        let detail = refused(nothing, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(detail, "nothing was ordered: there is no product 9");
        assert_eq!(get(&shop.url, "/orders").await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_not_valid_names_every_field() {
    let partners = Partners::start().await;
    on_each(async |database| {
        let shop = Program::start(database, &partners.urls, &[]).await;
        let same = json!({ "product_id": 0, "quantity": 0 });
        let answer = post(&shop.url, &json!({ "user_id": 0, "items": [same, same] })).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = answer.json().await.unwrap();
        let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["user_id", "items", "product_id", "quantity"]);
        let empty = post(&shop.url, &json!({ "user_id": 1, "items": [] })).await;
        assert_eq!(refused(empty, StatusCode::UNPROCESSABLE_ENTITY).await, "items must be 1 to 20 products");
    })
    .await;
}

#[tokio::test]
async fn without_the_catalog_an_order_is_unavailable_and_not_made() {
    let mut partners = Partners::start().await;
    partners.urls.catalog = "http://127.0.0.1:1".to_owned();
    on_each(async |database| {
        let shop = Program::start(database, &partners.urls, &[]).await;
        let answer = post(&shop.url, &json!({ "user_id": 1, "items": [{ "product_id": 1 }] })).await;
        let detail = refused(answer, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(detail.starts_with("nothing was ordered: catalog: "), "{detail}");
        assert_eq!(get(&shop.url, "/orders").await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_key_stands_for_one_order() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let shop = Program::start(database, &partners.urls, &[]).await;
        let (first, second) = tokio::join!(order(&shop.url, "saga", "k1"), order(&shop.url, "saga", "k1"));
        assert_eq!(first, second);
        assert_eq!(get(&shop.url, "/orders").await.as_array().unwrap().len(), 1);
        let other = Client::new().post(format!("{}/orders", shop.url)).header("Idempotency-Key", "k1");
        let other = other.json(&json!({ "user_id": 1, "items": [{ "product_id": 4 }] })).send().await.unwrap();
        let detail = refused(other, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(detail, r#"the Idempotency-Key "k1" came with another order before: use a new key for a new order"#);
        let spaced = Client::new().post(format!("{}/orders", shop.url)).header("Idempotency-Key", "k 1");
        let spaced = spaced.json(&json!({ "user_id": 1, "items": [{ "product_id": 4 }] })).send().await.unwrap();
        let detail = refused(spaced, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(detail, "Idempotency-Key must have 1 to 200 visible characters");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_order_is_undone_once_and_the_books_say_so() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let shop = Program::start(database, &partners.urls, &[]).await;
        for mode in ["saga", "2pc"] {
            let kept = order(&shop.url, mode, &format!("{mode}-kept")).await.unwrap()["id"].as_i64().unwrap();
            let id = order(&shop.url, mode, &format!("{mode}-not")).await.unwrap()["id"].as_i64().unwrap();
            for _ in 0..2 {
                let answer = Client::new().post(format!("{}/orders/{id}/cancel", shop.url)).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                let order: Value = answer.json().await.unwrap();
                let end = (&order["status"], &order["reason"]);
                assert_eq!(end, (&json!("cancelled"), &json!("its client cancelled it")));
            }
            let held = partners.world.held();
            assert!(held.0.contains(&kept) && !held.0.contains(&id) && held.0 == held.1, "{mode}: {held:?}");
        }
        let books = json!({
            "pending": 0, "completed": 2, "cancelled": 2, "completed_cents": 1200, "completed_items": { "3": 4 },
        });
        assert_eq!(get(&shop.url, "/books").await, books);
        let unknown = Client::new().post(format!("{}/orders/7/cancel", shop.url)).send().await.unwrap();
        assert_eq!(refused(unknown, StatusCode::NOT_FOUND).await, "there is no order 7");
    })
    .await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_on_its_way_turns_back() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::NotDone, 3);
        let shop = Program::start(database, &partners.urls, &[]).await;
        let cancel = async {
            let orders = until(&shop.url, "/orders", |orders| orders[0]["steps"][2]["attempts"] == 2).await;
            let url = format!("{}/orders/{}/cancel", shop.url, orders[0]["id"]);
            Client::new().post(url).send().await.unwrap().json::<Value>().await.unwrap()
        };
        let (ordered, cancelled) = tokio::join!(order(&shop.url, "saga", "k1"), cancel);
        assert_eq!(ordered.unwrap()["status"], "cancelled");
        assert_eq!(cancelled["status"], "cancelled");
        assert_eq!(partners.world.held(), (vec![], vec![]));
    })
    .await;
}

#[tokio::test]
async fn the_service_describes_itself() {
    let partners = Partners::start().await;
    on_each(async |database| {
        let shop = Program::start(database, &partners.urls, &[]).await;
        let api = get(&shop.url, "/openapi.json").await;
        let paths: Vec<_> = api["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(paths, ["/books", "/orders", "/orders/{id}", "/orders/{id}/cancel"]);
        assert_eq!(get(&shop.url, "/ready").await["status"], "ready");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_want_to_wait_gets_the_order_as_it_is() {
    on_each(async |database| {
        let partners = Partners::start().await;
        partners.world.trouble("charge", Trouble::NotDone, 100_000);
        let shop = Program::start(database, &partners.urls, &[]).await;
        let asked = Client::new().post(format!("{}/orders", shop.url)).header("Prefer", "respond-async");
        let asked = asked.json(&json!({ "user_id": 1, "items": [{ "product_id": 1 }] })).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::ACCEPTED);
        assert_eq!(asked.json::<Value>().await.unwrap()["status"], "pending");
    })
    .await;
}

#[tokio::test]
async fn an_order_is_the_business_of_its_user_alone() {
    on_each(async |database| {
        let partners = Partners::start().await;
        let shop = Program::start(database, &partners.urls, &[]).await;
        let made: Value =
            post(&shop.url, &json!({ "user_id": 1, "items": [{ "product_id": 1 }] })).await.json().await.unwrap();
        let url = format!("{}/orders/{}", shop.url, made["id"]);
        let asked = async |request: reqwest::RequestBuilder, user: &str| {
            request.header("shop-user", user).send().await.unwrap()
        };
        assert_eq!(asked(Client::new().get(&url), "1").await.status(), StatusCode::OK);
        assert_eq!(asked(Client::new().get(&url), "2").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(asked(Client::new().post(format!("{url}/cancel")), "2").await.status(), StatusCode::NOT_FOUND);
        let list = asked(Client::new().get(format!("{}/orders?user_id=1", shop.url)), "2").await;
        assert_eq!(list.json::<Value>().await.unwrap(), json!([]));
        let order = Client::new().post(format!("{}/orders", shop.url));
        let order = order.json(&json!({ "user_id": 1, "items": [{ "product_id": 1 }] }));
        let detail = refused(asked(order, "2").await, StatusCode::FORBIDDEN).await;
        assert_eq!(detail, "user_id must be your own: an order is paid by who makes it");
    })
    .await;
}
