//! Orders over REST, in process, with a users service on loopback.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tower::ServiceExt;

use super::*;
use crate::client::Client;
use crate::db::Db;
use crate::faults::Faults;
use crate::page::Page;
use crate::proto::user_service_server::UserServiceServer;
use crate::users::{self, UsersGrpc};

async fn ask(orders: &Arc<Orders>, users: &str, request: Request<Body>) -> Response<Body> {
    let users = UsersClient::new(users).unwrap();
    router(orders.clone(), users, Arc::new(Faults::none())).oneshot(request).await.unwrap()
}

fn order(body: Value) -> Request<Body> {
    Request::post("/orders").header("traceparent", "00-abc-def-01").body(Body::from(body.to_string())).unwrap()
}

async fn json_of(answer: Response<Body>) -> Value {
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const NOBODY: &str = "http://127.0.0.1:1";

/// Runs `test` with the URL of a users service; what its callers said beside their questions is the result.
async fn with_users<F: Future>(test: impl FnOnce(String) -> F) -> Vec<MetadataMap> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listen = heard.clone();
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/users.db?mode=rwc", folder.path().display());
    let db = Db::open(&database, &users::MIGRATIONS).await.unwrap();
    let orders = Client::new("http://127.0.0.1:9").unwrap();
    let service = UserServiceServer::new(UsersGrpc::new(db, orders, Arc::new(Faults::none())));
    let service = InterceptedService::new(service, move |request: tonic::Request<()>| {
        listen.lock().unwrap().push(request.metadata().clone());
        Ok(request)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::select! {
        _ = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)) => {}
        _ = test(url) => {}
    }
    let heard = heard.lock().unwrap();
    heard.clone()
}

#[tokio::test]
async fn the_first_order_is_there_from_the_start() {
    let orders = Arc::new(Orders::new());
    let first = json_of(ask(&orders, NOBODY, Request::get("/orders/1").body(Body::empty()).unwrap()).await).await;
    assert_eq!((&first["id"], &first["user_id"]), (&json!(1), &json!(1)));
    let list = json_of(ask(&orders, NOBODY, Request::get("/orders").body(Body::empty()).unwrap()).await).await;
    assert_eq!(list, json!([first]));
}

#[tokio::test]
async fn an_order_asks_users_who_orders_and_passes_the_trace_on() {
    let orders = Arc::new(Orders::new());
    let heard = with_users(async |url| {
        let answer = ask(&orders, &url, order(json!({ "user_id": 2, "item": "tea" }))).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(answer.headers()["location"], "/orders/2");
        let made = json_of(answer).await;
        assert_eq!(made, json!({"id": 2, "user_id": 2, "user_name": "Grace Hopper", "item": "tea", "quantity": 1}));
    })
    .await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].get("traceparent").unwrap(), "00-abc-def-01");
    assert!(heard[0].contains_key("grpc-timeout"));
}

#[tokio::test]
async fn an_order_of_an_unknown_user_is_not_made() {
    let orders = Arc::new(Orders::new());
    with_users(async |url| {
        let answer = ask(&orders, &url, order(json!({ "user_id": 99, "item": "tea" }))).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(json_of(answer).await["detail"], "there is no user 99, so nothing was ordered");
    })
    .await;
    assert!(orders.find(2).is_err());
}

#[tokio::test]
async fn without_users_an_order_is_unavailable_and_not_made() {
    let orders = Arc::new(Orders::new());
    let answer = ask(&orders, NOBODY, order(json!({ "user_id": 1, "item": "tea" }))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let detail = json_of(answer).await["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("the users service did not say who user 1 is, so nothing was ordered"), "{detail}");
    assert!(orders.find(2).is_err());
}

#[tokio::test]
async fn an_order_that_is_not_valid_names_every_field_and_asks_nobody() {
    let orders = Arc::new(Orders::new());
    let answer = ask(&orders, NOBODY, order(json!({ "user_id": 0, "item": "", "quantity": 0 }))).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = json_of(answer).await["errors"].as_array().unwrap().clone();
    let fields: Vec<_> = fields.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["user_id", "item", "quantity"]);
}

#[test]
fn the_oldest_orders_make_room_and_the_first_stays() {
    let orders = Orders::keeping(3);
    for _ in 0..4 {
        orders.create(NewOrder { user_id: 1, item: "tea".into(), quantity: 1 }, "Ada".into());
    }
    let ids: Vec<_> = orders.list(Page { after: 0, limit: 10 }).iter().map(|order| order.id).collect();
    assert_eq!(ids, [1, 4, 5]);
}
