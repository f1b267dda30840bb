//! The monolith on both databases: all of an order or nothing of it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::books::{Books, Totals};
use crate::db::Db;
use crate::db::testing::on_each;
use crate::testing::{ask, json_of};
use crate::{inventory, orders, payments};

const OPENING: i64 = 1_000_000;

async fn order(db: &Db, product: i64, quantity: i64) -> (StatusCode, Value) {
    let body = json!({ "user_id": 1, "items": [{ "product_id": product, "quantity": quantity }] });
    let answer = ask(router(db.clone(), OPENING), "POST", "/orders", &body.to_string()).await;
    (answer.status(), json_of(answer).await)
}

/// The same books that the services are held to.
async fn books(db: &Db) -> Books {
    let mut connection = db.pool.acquire().await.unwrap();
    let told = serde_json::to_value(orders::books(&mut connection).await.unwrap()).unwrap();
    Books {
        totals: serde_json::from_value::<Totals>(told).unwrap(),
        stock: inventory::list(&mut connection).await.unwrap(),
        accounts: payments::list(&mut connection).await.unwrap(),
        in_doubt: Vec::new(),
    }
}

#[tokio::test]
async fn an_order_is_complete_or_leaves_nothing() {
    on_each(async |url| {
        let db = open(url).await.unwrap();
        let (status, made) = order(&db, 1, 2).await;
        assert_eq!((status, &made["status"]), (StatusCode::CREATED, &json!("completed")), "{made}");
        let before = books(&db).await;
        assert_eq!((before.totals.completed, before.wrong()), (1, Vec::new()));

        // There are 1000 of it: the order is written down first, then the stock does not suffice.
        let (status, problem) = order(&db, 1, 999).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["detail"], "nothing was ordered: there are not 999 of product 1 left");
        let after = books(&db).await;
        assert_eq!((after.totals, after.stock, after.accounts), (before.totals, before.stock, before.accounts));
    })
    .await;
}

#[tokio::test]
async fn many_orders_at_once_never_sell_more_than_there_is() {
    on_each(async |url| {
        let db = open(url).await.unwrap();
        let orders = futures_util::future::join_all((0..12).map(|_| order(&db, 1, 100))).await;
        let sold = orders.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
        let books = books(&db).await;
        assert_eq!(books.totals.completed, sold as i64);
        assert!(sold > 0 && sold <= 10, "{sold}");
        assert_eq!(books.wrong(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn who_is_unknown_buys_nothing() {
    on_each(async |url| {
        let db = open(url).await.unwrap();
        let (status, problem) = order(&db, 77, 1).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let (status, problem) = order(&db, 1, 0).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("quantity")));
    })
    .await;
}
