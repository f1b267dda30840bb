//! Users over REST and gRPC, in process: routers are called, and gRPC runs over a pipe in memory.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::json;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::service::RoutesBuilder;
use tonic::transport::Channel;

use super::*;
use crate::faults::Faults;
use crate::proto::sync_users_response::Outcome::{Created, Unchanged, Updated};
use crate::proto::user_service_client::UserServiceClient;
use crate::proto::user_service_server::UserServiceServer;
use crate::proto::{GetUserRequest, ImportUsersRequest, ListUsersRequest};
use crate::testing::{self, json_of};

async fn ask(users: &Arc<Users>, method: &str, path: &str, body: &str) -> Response<Body> {
    testing::ask(router(users.clone(), Arc::new(Faults::none())), method, path, body).await
}

#[tokio::test]
async fn the_first_three_users_are_there_from_the_start() {
    let users = Arc::new(Users::new());
    let list = json_of(ask(&users, "GET", "/users", "").await).await;
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3]);
    let grace = json_of(ask(&users, "GET", "/users/2", "").await).await;
    assert_eq!(grace, json!({ "id": 2, "name": "Grace Hopper", "email": "grace@shop.example" }));
}

#[tokio::test]
async fn a_list_is_read_in_pages() {
    let list = json_of(ask(&Arc::new(Users::new()), "GET", "/users?after=1&limit=1", "").await).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], 2);
}

#[tokio::test]
async fn a_created_user_can_be_read_where_location_says() {
    let users = Arc::new(Users::new());
    let answer = ask(&users, "POST", "/users", r#"{"name":"Mary","email":"mary@shop.example"}"#).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(location, "/users/4");
    let mary = json_of(ask(&users, "GET", &location, "").await).await;
    assert_eq!(mary["name"], "Mary");
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_is_wrong() {
    let users = Arc::new(Users::new());
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
        let answer = ask(&users, method, path, body).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(json_of(answer).await["detail"], detail, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_with_the_place() {
    let answer = ask(&Arc::new(Users::new()), "POST", "/users", "{").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let detail = json_of(answer).await["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("line 1 column 1"), "{detail}");
}

#[test]
fn an_email_address_has_two_sides() {
    let users = Users::new();
    for email in ["", "@", "a@", "@b", "a b@c", "a@b@c", &format!("{}@b", "a".repeat(254))] {
        let new = NewUser { name: "Mary".into(), email: email.into() };
        assert!(matches!(users.create(new), Err(UserError::Invalid(_))), "{email:?} was taken");
    }
}

#[tokio::test]
async fn health_does_not_suffer_from_faults() {
    let answer = ask(&Arc::new(Users::new()), "GET", "/health", "").await;
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Runs `test` with a client of the service.
async fn with_grpc<F: Future>(test: impl FnOnce(UserServiceClient<Channel>) -> F) {
    let service = UsersGrpc::new(Arc::new(Users::new()), Arc::new(Faults::none()));
    let mut services = RoutesBuilder::default();
    services.add_service(UserServiceServer::new(service));
    testing::with_channel(services, |channel| test(UserServiceClient::new(channel))).await;
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
        assert_eq!(answer.ids, (4..254).collect::<Vec<_>>());
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
        assert_eq!(client.get_user(GetUserRequest { id: 4 }).await.unwrap_err().code(), Code::NotFound);
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
        let questions = [
            (user(1, "Ada Lovelace", "ada@shop.example"), 1, Unchanged),
            (user(0, "Mary", "mary@shop.example"), 4, Created),
            (user(4, "Mary Jackson", "mary@shop.example"), 4, Updated),
        ];
        for (question, id, outcome) in questions {
            tell.send(question).await.unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!((answer.user.as_ref().unwrap().id, answer.outcome()), (id, outcome));
        }
        tell.send(user(99, "Nobody", "nobody@shop.example")).await.unwrap();
        assert_eq!(answers.message().await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
