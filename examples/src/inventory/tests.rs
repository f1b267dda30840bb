//! Stock, on both databases.

use std::sync::Arc;

use futures_util::future::join_all;
use tonic::Code;
use tonic::service::RoutesBuilder;

use super::*;
use crate::db::Db;
use crate::db::testing::on_each;
use crate::faults::Faults;
use crate::proto::inventory_service_client::InventoryServiceClient;
use crate::proto::inventory_service_server::InventoryServiceServer;
use crate::proto::{Item, ListStockRequest, ReleaseRequest, ReserveRequest, RestockRequest, Stock};
use crate::testing::with_channel;

fn items<const N: usize>(wanted: [(i64, i64); N]) -> Items {
    wanted.map(|(product_id, quantity)| Item { product_id, quantity }).to_vec().try_into().unwrap()
}

async fn reserving(db: &Db, order_id: i64, items: &Items) -> Result<bool, InventoryError> {
    let mut work = db.begin().await?;
    let done = reserve(&mut work, order_id, items).await;
    match &done {
        Ok(_) => work.commit().await?,
        Err(_) => work.rollback().await?,
    }
    done
}

async fn releasing(db: &Db, order_id: i64) {
    let mut work = db.begin().await.unwrap();
    release(&mut work, order_id).await.unwrap();
    work.commit().await.unwrap();
}

/// Available and reserved of a product.
async fn stock_of(db: &Db, product_id: i64) -> (i64, i64) {
    let all = list(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    let stock = all.iter().find(|stock| stock.product_id == product_id).unwrap();
    (stock.available, stock.reserved)
}

#[tokio::test]
async fn reserving_and_releasing_can_be_repeated() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        assert!(reserving(&db, 7, &items([(1, 10), (2, 20)])).await.unwrap());
        assert!(!reserving(&db, 7, &items([(1, 10), (2, 20)])).await.unwrap());
        assert_eq!((stock_of(&db, 1).await, stock_of(&db, 2).await), ((990, 10), (980, 20)));
        releasing(&db, 7).await;
        releasing(&db, 7).await;
        assert_eq!((stock_of(&db, 1).await, stock_of(&db, 2).await), ((1000, 0), (1000, 0)));
    })
    .await;
}

#[tokio::test]
async fn a_reservation_that_comes_after_its_release_is_refused() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        releasing(&db, 7).await;
        let error = reserving(&db, 7, &items([(1, 10)])).await.unwrap_err();
        assert_eq!(error.to_string(), "order 7 was released before: its reservation came too late");
        assert_eq!(stock_of(&db, 1).await, (1000, 0));
    })
    .await;
}

#[tokio::test]
async fn an_order_gets_all_of_its_items_or_none() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let short = reserving(&db, 7, &items([(1, 1), (2, 1001)])).await.unwrap_err();
        assert!(matches!(short, InventoryError::Short { product_id: 2, quantity: 1001 }), "{short}");
        let unknown = reserving(&db, 7, &items([(1, 1), (99, 1)])).await.unwrap_err();
        assert!(matches!(unknown, InventoryError::UnknownProduct { product_id: 99 }), "{unknown}");
        assert_eq!(stock_of(&db, 1).await, (1000, 0));
        assert!(reserving(&db, 7, &items([(1, 1000), (2, 1000)])).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn many_orders_at_once_never_get_more_than_there_is() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        // 60 orders want 50 each of two products, half of them in the other order; there are 1000 of both.
        let order = |id: i64| {
            let wanted = if id % 2 == 0 { items([(1, 50), (2, 50)]) } else { items([(2, 50), (1, 50)]) };
            let db = db.clone();
            async move {
                loop {
                    match reserving(&db, id, &wanted).await {
                        Ok(done) => return done,
                        Err(InventoryError::Short { .. }) => return false,
                        Err(InventoryError::Database(_)) => {} // it was busy, as clients are told
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        };
        let served = join_all((1..=60).map(order)).await.into_iter().filter(|done| *done).count();
        assert_eq!(served, 20);
        assert_eq!((stock_of(&db, 1).await, stock_of(&db, 2).await), ((0, 1000), (0, 1000)));
    })
    .await;
}

#[tokio::test]
async fn the_same_order_at_once_is_reserved_once() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let wanted = items([(3, 5)]);
        let done = join_all((0..8).map(|_| reserving(&db, 7, &wanted))).await;
        assert_eq!(done.into_iter().filter(|done| matches!(done, Ok(true))).count(), 1);
        assert_eq!(stock_of(&db, 3).await, (995, 5));
    })
    .await;
}

#[tokio::test]
async fn in_any_order_of_calls_what_came_in_is_available_or_reserved() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let mut random = fastrand::Rng::with_seed(20_261_125);
        let mut held = std::collections::BTreeMap::new();
        for _ in 0..200 {
            let order_id = random.i64(1..30);
            if random.bool() {
                releasing(&db, order_id).await;
                held.insert(order_id, 0);
                continue;
            }
            let quantity = random.i64(1..200);
            if reserving(&db, order_id, &items([(5, quantity)])).await.is_ok_and(|done| done) {
                assert_eq!(held.insert(order_id, quantity), None, "order {order_id} was reserved after its release");
            }
        }
        let reserved = held.values().sum::<i64>();
        assert_eq!(stock_of(&db, 5).await, (1000 - reserved, reserved));
    })
    .await;
}

#[test]
fn a_product_that_is_named_twice_is_wanted_as_often_as_both_say() {
    assert_eq!(items([(1, 2), (2, 1), (1, 3)]), items([(1, 5), (2, 1)]));
}

#[tokio::test]
async fn every_refusal_has_its_status_and_its_reason() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let mut services = RoutesBuilder::default();
        services.add_service(InventoryServiceServer::new(InventoryGrpc::new(db, Arc::new(Faults::none()))));
        with_channel(services, async |channel| {
            let mut client = InventoryServiceClient::new(channel);
            let items = |product_id, quantity| vec![Item { product_id, quantity }];
            client.release(ReleaseRequest { order_id: 1 }).await.unwrap();
            let cases = [
                (1, items(1, 1), Code::Aborted, "order 1 was released before: its reservation came too late"),
                (2, items(1, 1001), Code::FailedPrecondition, "there are not 1001 of product 1 left"),
                (2, items(99, 1), Code::NotFound, "there is no product 99 in the warehouse: restock it first"),
                (2, items(1, 0), Code::InvalidArgument, "quantity must be 1 to 1000000"),
                (2, items(0, 1), Code::InvalidArgument, "product_id must be 1 or more"),
                (2, vec![], Code::InvalidArgument, "items must be 1 to 100 products"),
                (0, items(1, 1), Code::InvalidArgument, "order_id must be 1 or more"),
            ];
            for (order_id, items, code, message) in cases {
                let status = client.reserve(ReserveRequest { order_id, items }).await.unwrap_err();
                assert_eq!((status.code(), status.message()), (code, message));
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_restocked_can_be_reserved() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let mut services = RoutesBuilder::default();
        services.add_service(InventoryServiceServer::new(InventoryGrpc::new(db, Arc::new(Faults::none()))));
        with_channel(services, async |channel| {
            let mut client = InventoryServiceClient::new(channel);
            client.restock(RestockRequest { product_id: 9, quantity: 3 }).await.unwrap();
            let stock = client.restock(RestockRequest { product_id: 9, quantity: 2 }).await.unwrap().into_inner();
            assert_eq!(stock, Stock { product_id: 9, available: 5, reserved: 0, received: 5 });
            let wanted = vec![Item { product_id: 9, quantity: 4 }];
            client.reserve(ReserveRequest { order_id: 1, items: wanted }).await.unwrap();
            let listed = client.list_stock(ListStockRequest {}).await.unwrap().into_inner().stock;
            assert_eq!(listed.len(), 9);
            assert_eq!(listed[8], Stock { product_id: 9, available: 1, reserved: 4, received: 5 });
        })
        .await;
    })
    .await;
}
