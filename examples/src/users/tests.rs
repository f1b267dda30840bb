//! Users over REST and gRPC, on both databases.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::service::RoutesBuilder;
use tonic::transport::Channel;

use super::*;
use crate::client::Client;
use crate::db::Db;
use crate::db::testing::on_each;
use crate::faults::Faults;
use crate::proto::sync_users_response::Outcome::{Created, Unchanged, Updated};
use crate::proto::user_service_client::UserServiceClient;
use crate::proto::user_service_server::UserServiceServer;
use crate::proto::{GetUserRequest, ImportUsersRequest, ListOrdersRequest, ListUsersRequest};
use crate::testing::{ask, json_of, with_channel};

async fn users(url: &str) -> Router {
    router(Db::open(url, &MIGRATIONS).await.unwrap(), Arc::new(Faults::none()))
}

#[tokio::test]
async fn the_first_three_users_are_there_from_the_start() {
    on_each(async |url| {
        let users = users(url).await;
        let list = json_of(ask(users.clone(), "GET", "/users", "").await).await;
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, [1, 2, 3]);
        let grace = json_of(ask(users, "GET", "/users/2", "").await).await;
        assert_eq!(grace, json!({ "id": 2, "name": "Grace Hopper", "email": "grace@shop.example" }));
    })
    .await;
}

#[tokio::test]
async fn a_list_is_read_in_pages() {
    on_each(async |url| {
        let list = json_of(ask(users(url).await, "GET", "/users?after=1&limit=1", "").await).await;
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["id"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_created_user_can_be_read_where_location_says() {
    on_each(async |url| {
        let users = users(url).await;
        let answer = ask(users.clone(), "POST", "/users", r#"{"name":"Mary","email":"mary@shop.example"}"#).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let mary = json_of(ask(users, "GET", &location, "").await).await;
        assert_eq!((&mary["name"], location), (&json!("Mary"), format!("/users/{}", mary["id"])));
    })
    .await;
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_is_wrong() {
    on_each(async |url| {
        let users = users(url).await;
        let cases = [
            ("GET", "/users/99", "", 404, "there is no user 99"),
            ("GET", "/users/x", "", 400, r#"the id "x" is not a whole number"#),
            ("GET", "/nothing", "", 404, "there is nothing at /nothing"),
            ("DELETE", "/users", "", 405, "/users does not answer DELETE"),
            (
                "POST",
                "/users",
                r#"{"name":"Ada","email":"ada@shop.example"}"#,
                409,
                "user 1 has the email address ada@shop.example already",
            ),
            (
                "POST",
                "/users",
                r#"{"name":" "}"#,
                422,
                "name must have 1 to 100 characters; email must be an address such as ada@shop.example",
            ),
        ];
        for (method, path, body, status, detail) in cases {
            let answer = ask(users.clone(), method, path, body).await;
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(json_of(answer).await["detail"], detail, "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_place() {
    on_each(async |url| {
        let answer = ask(users(url).await, "POST", "/users", "{").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let detail = json_of(answer).await["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("line 1 column 1"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn an_email_address_has_two_sides() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let mut connection = db.pool.acquire().await.unwrap();
        for email in ["", "@", "a@", "@b", "a b@c", "a@b@c", "a\0@b", &format!("{}@b", "a".repeat(254))] {
            let new = NewUser { name: "Mary".into(), email: email.into() };
            let refused = create(&mut connection, new).await;
            assert!(matches!(refused, Err(UserError::Invalid(_))), "{email:?} was taken");
        }
    })
    .await;
}

#[tokio::test]
async fn health_does_not_suffer_from_faults() {
    on_each(async |url| {
        assert_eq!(ask(users(url).await, "GET", "/health", "").await.status(), StatusCode::OK);
    })
    .await;
}

/// Runs `test` on each database with a client of the service.
async fn with_grpc(test: impl AsyncFn(UserServiceClient<Channel>)) {
    with_orders("http://127.0.0.1:9", test).await; // port 9 discards: nobody serves orders there
}

async fn with_orders(orders: &str, test: impl AsyncFn(UserServiceClient<Channel>)) {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let service = UsersGrpc::new(db, Client::new(orders).unwrap(), Arc::new(Faults::none()));
        let mut services = RoutesBuilder::default();
        services.add_service(UserServiceServer::new(service));
        with_channel(services, |channel| test(UserServiceClient::new(channel))).await;
    })
    .await;
}

#[tokio::test]
async fn one_question_has_one_answer() {
    with_grpc(async |mut client| {
        let answer = client.get_user(GetUserRequest { id: 1 }).await.unwrap().into_inner();
        assert_eq!((answer.name.as_str(), answer.email.as_str()), ("Ada Lovelace", "ada@shop.example"));
        let status = client.get_user(GetUserRequest { id: 99 }).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no user 99"));
    })
    .await;
}

#[tokio::test]
async fn one_question_has_a_stream_of_answers() {
    with_grpc(async |mut client| {
        let answers = client.list_users(ListUsersRequest {}).await.unwrap().into_inner();
        let ids: Vec<_> = answers.map(|user| user.unwrap().id).collect().await;
        assert_eq!(ids, [1, 2, 3]);
    })
    .await;
}

/// 150 orders of user 1, as the orders service tells them in pages.
async fn some_orders(RawQuery(query): RawQuery) -> Json<Vec<Value>> {
    let query = query.unwrap_or_default();
    let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse().ok()).unwrap_or(0);
    assert_eq!(of("user_id="), 1);
    let order = |id| {
        json!({ "id": id, "user_id": 1, "status": "completed", "total_cents": 250, "created_at": 7,
        "items": [{ "product_id": 1, "name": "Punched cards", "quantity": 1, "price_cents": 250 }] })
    };
    Json((of("after=") + 1..=150).take(of("limit=") as usize).map(order).collect())
}

#[tokio::test]
async fn the_orders_of_a_user_are_streamed_page_by_page() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let orders = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, Router::new().route("/orders", get(some_orders)));
    let test = with_orders(&orders, async |mut client| {
        let answers = client.list_orders(ListOrdersRequest { user_id: 1 }).await.unwrap().into_inner();
        let orders: Vec<_> = answers.map(Result::unwrap).collect().await;
        assert_eq!(orders.iter().map(|order| order.id).collect::<Vec<_>>(), (1..=150).collect::<Vec<_>>());
        assert_eq!((orders[0].total_cents, orders[0].items[0].product_id), (250, 1));
        let nobody = client.list_orders(ListOrdersRequest { user_id: 99 }).await.unwrap_err();
        assert_eq!(nobody.code(), Code::NotFound);
    });
    tokio::select! {
        _ = serving => panic!("the server ended"),
        () = test => {}
    }
}

#[tokio::test]
async fn without_the_orders_service_the_stream_of_orders_says_so() {
    with_grpc(async |mut client| {
        let mut answers = client.list_orders(ListOrdersRequest { user_id: 1 }).await.unwrap().into_inner();
        let status = answers.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("the orders of user 1 cannot be read now"), "{status}");
    })
    .await;
}

fn import(names: &[&str]) -> Vec<ImportUsersRequest> {
    let request = |name: &&str| ImportUsersRequest { name: (*name).into(), email: format!("{name}@shop.example") };
    names.iter().map(request).collect()
}

#[tokio::test]
async fn a_stream_of_users_is_imported_with_one_answer() {
    with_grpc(async |mut client| {
        let names: Vec<_> = (0..250).map(|number| format!("user{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let answer = client.import_users(tokio_stream::iter(import(&names))).await.unwrap().into_inner();
        assert!(answer.ids.len() == 250 && answer.ids.is_sorted(), "{:?}", answer.ids);
        let listed = client.list_users(ListUsersRequest {}).await.unwrap().into_inner();
        assert_eq!(listed.collect::<Vec<_>>().await.len(), 253);
    })
    .await;
}

#[tokio::test]
async fn an_import_with_a_bad_user_keeps_none() {
    with_grpc(async |mut client| {
        let status = client.import_users(tokio_stream::iter(import(&["mary", ""]))).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let listed = client.list_users(ListUsersRequest {}).await.unwrap().into_inner();
        assert_eq!(listed.collect::<Vec<_>>().await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn both_sides_stream_and_each_answer_comes_before_the_next_question() {
    with_grpc(async |mut client| {
        let (tell, told) = tokio::sync::mpsc::channel(1);
        let told = tokio_stream::wrappers::ReceiverStream::new(told);
        let user = |id, name: &str, email: &str| crate::proto::User { id, name: name.into(), email: email.into() };
        let mut answers = client.sync_users(told).await.unwrap().into_inner();
        let mut ask = async |question| {
            tell.send(question).await.unwrap();
            let answer = answers.message().await?.unwrap();
            Ok::<_, tonic::Status>((answer.user.clone().unwrap().id, answer.outcome()))
        };
        assert_eq!(ask(user(1, "Ada Lovelace", "ada@shop.example")).await.unwrap(), (1, Unchanged));
        let (mary, created) = ask(user(0, "Mary", "mary@shop.example")).await.unwrap();
        assert_eq!(created, Created);
        assert_eq!(ask(user(mary, "Mary Jackson", "mary@shop.example")).await.unwrap(), (mary, Updated));
        let taken = ask(user(mary, "Mary Jackson", "ada@shop.example")).await.unwrap_err();
        assert_eq!(taken.message(), "user 1 has the email address ada@shop.example already");
    })
    .await;
}
