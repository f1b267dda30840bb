//! The edge, in process, before services that tell what reached them.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::client::Client;
use crate::fake::{nobody, service};
use crate::problem::Problem;

const SECRET: &[u8] = b"thirty-two bytes, and not a secret";

fn edge(service: &Client, rate: u32) -> Router {
    let route = |prefix, access| Route { prefix, service: service.clone(), access };
    router(Edge {
        routes: Routes(vec![
            route("/orders", Access::LoggedIn),
            route("/products", Access::EveryoneLooks),
            Route { prefix: "/sales", service: nobody(), access: Access::LoggedIn },
        ]),
        users: service.clone(),
        tokens: Tokens::new(SECRET).unwrap(),
        limit: Limit::new(NonZeroU32::new(rate).unwrap()),
        password: "shop".into(),
    })
}

/// One service for all: user 1 is known, and everything else tells what came.
fn echo() -> Router {
    let user = async || Json(json!({ "id": 1 }));
    let tell = async |request: Request| {
        let names = ["shop-user", "authorization", "cookie", "traceparent", "x-hop"];
        let headers = names.map(|name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()));
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Json(json!({ "method": method, "uri": uri, "headers": headers, "body": String::from_utf8_lossy(&body) }))
    };
    let unknown = async || Problem::new(StatusCode::NOT_FOUND, "there is no user 2");
    Router::new().route("/users/1", get(user)).route("/users/2", get(unknown)).fallback(tell)
}

async fn text(answer: Response) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&text(answer).await).unwrap()
}

fn login(user: i64, password: &str) -> Request {
    Request::post("/login").body(Body::from(json!({ "user_id": user, "password": password }).to_string())).unwrap()
}

fn token(user: i64) -> String {
    Tokens::new(SECRET).unwrap().issue(user, SystemTime::now()).unwrap()
}

fn orders(token: &str) -> Request {
    Request::get("/orders").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn who_logs_in_is_known_to_the_services_behind() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 100);
    let answer = json_of(edge.clone().oneshot(login(1, "shop")).await.unwrap()).await;
    assert_eq!(answer["expires_in"], 3600);
    let request = Request::post("/orders?mode=saga")
        .header("authorization", format!("Bearer {}", answer["token"].as_str().unwrap()))
        .header("cookie", "a=b")
        .header("traceparent", "00-a-b-01")
        .header("connection", "x-hop")
        .header("x-hop", "mine")
        .header("shop-user", "99")
        .body(Body::from("{}"))
        .unwrap();
    let reached = json_of(edge.oneshot(request).await.unwrap()).await;
    let headers = json!(["1", null, null, "00-a-b-01", null]);
    assert_eq!(reached, json!({ "method": "POST", "uri": "/orders?mode=saga", "headers": headers, "body": "{}" }));
}

#[tokio::test]
async fn a_form_gets_a_cookie_that_counts_as_a_token() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 100);
    let form = Request::post("/login").header("content-type", "application/x-www-form-urlencoded");
    let answer = edge.clone().oneshot(form.body(Body::from("user_id=1&password=shop")).unwrap()).await.unwrap();
    assert_eq!((answer.status(), &answer.headers()["location"]), (StatusCode::SEE_OTHER, &"/web".parse().unwrap()));
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let request = Request::get("/orders").header("cookie", format!("theme=dark; {cookie}")).body(Body::empty());
    assert_eq!(json_of(edge.oneshot(request.unwrap()).await.unwrap()).await["headers"][0], "1");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 100);
    let wrong = edge.clone().oneshot(login(1, "guess")).await.unwrap();
    let unknown = edge.oneshot(login(2, "shop")).await.unwrap();
    assert_eq!((wrong.status(), unknown.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(text(wrong).await, text(unknown).await);
}

#[tokio::test]
async fn without_a_token_one_may_look_at_products_and_no_more() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 100);
    let status = async |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        edge.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status(Method::GET, "/products?limit=2").await, StatusCode::OK);
    assert_eq!(status(Method::POST, "/products").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(Method::GET, "/orders").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(Method::GET, "/ordersx").await, StatusCode::NOT_FOUND);
    assert_eq!(status(Method::GET, "/").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_token_that_is_over_or_of_another_secret_or_algorithm_is_refused() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 100);
    let over = Tokens::new(SECRET).unwrap().issue(1, SystemTime::now() - Duration::from_secs(3602)).unwrap();
    let other = Tokens::new(&[7; 32]).unwrap().issue(1, SystemTime::now()).unwrap();
    // {"alg":"none"}, with the claims of a good token and no signature.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", token(1).split('.').nth(1).unwrap());
    for bad in [over, other, none, "x".into()] {
        let answer = edge.clone().oneshot(orders(&bad)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{bad}");
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    assert_eq!(edge.oneshot(orders(&token(1))).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn one_user_who_asks_too_often_does_not_hold_up_another() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 1);
    assert_eq!(edge.clone().oneshot(orders(&token(1))).await.unwrap().status(), StatusCode::OK);
    let refused = edge.clone().oneshot(orders(&token(1))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(edge.oneshot(orders(&token(2))).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_so() {
    let (service, _task) = service(echo()).await;
    let request = Request::get("/sales").header("authorization", format!("Bearer {}", token(1)));
    let answer = edge(&service, 100).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
}

#[test]
fn a_short_secret_is_refused() {
    assert_eq!(Tokens::new(b"short").unwrap_err().to_string(), "JWT_SECRET must have 32 bytes or more");
}

#[tokio::test]
async fn what_describes_the_edge_is_there_for_everyone() {
    let (service, _task) = service(echo()).await;
    let edge = edge(&service, 1);
    for path in ["/health", "/ready", "/docs/", "/openapi.json"] {
        let answer = edge.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(path != "/openapi.json" || text(answer).await.contains("/login"));
    }
}
