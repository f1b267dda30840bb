//! Accounts, on both databases.

use std::sync::Arc;

use futures_util::future::join_all;
use tonic::Code;
use tonic::service::RoutesBuilder;

use super::*;
use crate::db::Db;
use crate::db::testing::on_each;
use crate::faults::Faults;
use crate::proto::payment_service_client::PaymentServiceClient;
use crate::proto::payment_service_server::PaymentServiceServer;
use crate::proto::{Account, ChargeRequest, ListAccountsRequest, RefundRequest};
use crate::testing::with_channel;

const OPENING: i64 = 500;

async fn charging(db: &Db, order_id: i64, user_id: i64, amount_cents: i64) -> Result<bool, PaymentError> {
    let mut work = db.begin().await?;
    let done = charge(&mut work, Charge { order_id, user_id, amount_cents }, OPENING).await;
    match &done {
        Ok(_) => work.commit().await?,
        Err(_) => work.rollback().await?,
    }
    done
}

async fn refunding(db: &Db, order_id: i64) {
    let mut work = db.begin().await.unwrap();
    refund(&mut work, order_id).await.unwrap();
    work.commit().await.unwrap();
}

async fn account_of(db: &Db, user_id: i64) -> Option<Account> {
    let all = list(&mut db.pool.acquire().await.unwrap()).await.unwrap();
    all.into_iter().find(|account| account.user_id == user_id)
}

fn account(user_id: i64, balance_cents: i64, charged_cents: i64) -> Option<Account> {
    Some(Account { user_id, balance_cents, charged_cents, deposited_cents: balance_cents + charged_cents })
}

#[tokio::test]
async fn charging_and_refunding_can_be_repeated() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        assert!(charging(&db, 7, 1, 250).await.unwrap());
        assert!(!charging(&db, 7, 1, 250).await.unwrap());
        assert_eq!(account_of(&db, 1).await, account(1, 999_750, 250));
        refunding(&db, 7).await;
        refunding(&db, 7).await;
        assert_eq!(account_of(&db, 1).await, account(1, 1_000_000, 0));
    })
    .await;
}

#[tokio::test]
async fn a_charge_that_comes_after_its_refund_is_refused() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        refunding(&db, 7).await;
        let error = charging(&db, 7, 1, 250).await.unwrap_err();
        assert_eq!(error.to_string(), "order 7 was refunded before: its charge came too late");
        assert_eq!(account_of(&db, 1).await, account(1, 1_000_000, 0));
    })
    .await;
}

#[tokio::test]
async fn a_new_user_has_what_accounts_begin_with_and_no_more() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let error = charging(&db, 1, 44, OPENING + 1).await.unwrap_err();
        assert_eq!(error.to_string(), "user 44 does not have 501 cents");
        assert_eq!(account_of(&db, 44).await, None);
        assert!(charging(&db, 2, 44, OPENING).await.unwrap());
        assert_eq!(account_of(&db, 44).await, account(44, 0, OPENING));
    })
    .await;
}

#[tokio::test]
async fn many_charges_at_once_never_take_more_than_there_is() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let order = |id: i64| {
            let db = db.clone();
            async move {
                loop {
                    match charging(&db, id, 44, 50).await {
                        Ok(done) => return done,
                        Err(PaymentError::TooLittle { .. }) => return false,
                        Err(PaymentError::Database(_)) => {} // it was busy, as clients are told
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        };
        let paid = join_all((1..=40).map(order)).await.into_iter().filter(|done| *done).count();
        assert_eq!(paid, 10);
        assert_eq!(account_of(&db, 44).await, account(44, 0, OPENING));
    })
    .await;
}

#[tokio::test]
async fn every_refusal_has_its_status_and_its_reason() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let mut services = RoutesBuilder::default();
        services.add_service(PaymentServiceServer::new(PaymentsGrpc::new(db, OPENING, Arc::new(Faults::none()))));
        with_channel(services, async |channel| {
            let mut client = PaymentServiceClient::new(channel);
            client.refund(RefundRequest { order_id: 1 }).await.unwrap();
            let cases = [
                ((1, 1, 1), Code::Aborted, "order 1 was refunded before: its charge came too late"),
                ((2, 1, 1_000_001), Code::FailedPrecondition, "user 1 does not have 1000001 cents"),
                ((2, 1, 0), Code::InvalidArgument, "amount_cents must be 1 to 100000000000"),
                ((2, 0, 1), Code::InvalidArgument, "user_id must be 1 or more"),
                ((0, 1, 1), Code::InvalidArgument, "order_id must be 1 or more"),
            ];
            for ((order_id, user_id, amount_cents), code, message) in cases {
                let status = client.charge(ChargeRequest { order_id, user_id, amount_cents }).await.unwrap_err();
                assert_eq!((status.code(), status.message()), (code, message));
            }
            let accounts = client.list_accounts(ListAccountsRequest {}).await.unwrap().into_inner().accounts;
            assert_eq!(accounts.iter().map(|account| account.user_id).collect::<Vec<_>>(), [1, 2, 3]);
        })
        .await;
    })
    .await;
}
