//! The BFFs, in process, before services that are made up.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;

use super::parts::Shop;
use super::{mobile, web};
use crate::fake::{nobody, service};
use crate::problem::Problem;

fn users() -> Router {
    let ada = || json!({ "id": 1, "name": "Ada <Lovelace>", "email": "ada@shop.example" });
    let nobody = async || Problem::new(StatusCode::NOT_FOUND, "there is no user 9");
    Router::new()
        .route("/users", get(async move || Json(json!([ada()]))))
        .route("/users/1", get(async move || Json(ada())))
        .route("/users/9", get(nobody))
}

fn catalog() -> Router {
    let tea = json!({ "id": 1, "name": "Tea", "description": "Green, of the first harvest.", "price_cents": 450 });
    Router::new().route("/products", get(async move || Json(json!([tea]))))
}

fn order(id: i64, status: &str) -> Value {
    let step = json!({ "name": "reserve-inventory", "state": "done", "attempts": 2, "detail": null, "at": 5 });
    json!({
        "id": id, "user_id": 1, "user_name": "Ada", "mode": "saga", "status": status, "reason": null,
        "total_cents": 900, "items": [{ "product_id": 1, "name": "Tea", "quantity": 2, "price_cents": 450 }],
        "created_at": 4, "steps": [step],
    })
}

fn orders() -> Router {
    let list = async |RawQuery(asked): RawQuery| {
        assert_eq!(asked.unwrap(), "user_id=1");
        Json(json!((1..=7).map(|id| order(id, "completed")).collect::<Vec<_>>()))
    };
    let take = async |RawQuery(asked): RawQuery, headers: HeaderMap, Json(body): Json<Value>| {
        let wanted = json!({ "user_id": 1, "items": [{ "product_id": 1, "quantity": 2 }] });
        let is_as_wanted = asked.unwrap() == "mode=2pc" && headers["idempotency-key"] == "k" && body == wanted;
        if is_as_wanted { Ok(Json(order(8, "pending"))) } else { Err(StatusCode::IM_A_TEAPOT) }
    };
    Router::new()
        .route("/orders", get(list).post(take))
        .route("/orders/7", get(async || Json(order(7, "completed"))))
        .route("/orders/8", get(async || Json(order(8, "pending"))))
        .route("/orders/7/cancel", post(async || Json(order(7, "cancelled"))))
}

async fn ask(router: Router, request: Request) -> Response {
    router.oneshot(request).await.unwrap()
}

fn as_ada(path: &str) -> Request {
    Request::get(path).header("shop-user", "1").body(Body::empty()).unwrap()
}

async fn text(answer: Response) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&text(answer).await).unwrap()
}

#[tokio::test]
async fn one_answer_for_the_web_has_all_and_that_for_a_phone_is_a_fraction_of_it() {
    let ((users, _u), (catalog, _c), (orders, _o)) =
        (service(users()).await, service(catalog()).await, service(orders()).await);
    let shop = Shop { users, catalog, orders };
    let web = text(ask(web::router(shop.clone()), as_ada("/web/overview")).await).await;
    let mobile = text(ask(mobile::router(shop), as_ada("/mobile/overview")).await).await;
    assert!(mobile.len() * 3 < web.len(), "{} and {} bytes", mobile.len(), web.len());
    let (web, mobile): (Value, Value) = (serde_json::from_str(&web).unwrap(), serde_json::from_str(&mobile).unwrap());
    assert_eq!(web["user"]["email"], "ada@shop.example");
    assert_eq!((&web["orders"][0]["id"], &web["orders"][6]["id"]), (&json!(7), &json!(1)));
    assert_eq!(web["missing"], json!([]));
    let order = json!({ "id": 7, "status": "completed", "total_cents": 900 });
    assert_eq!((&mobile["orders"][0], mobile["orders"].as_array().unwrap().len()), (&order, 5));
    assert_eq!(mobile["products"], json!([{ "id": 1, "name": "Tea", "price_cents": 450 }]));
}

#[tokio::test]
async fn what_a_service_does_not_say_in_time_is_left_out_and_named() {
    let slow = Router::new().fallback(async || tokio::time::sleep(Duration::from_secs(60)).await);
    let ((users, _u), (catalog, _c)) = (service(users()).await, service(slow).await);
    let shop = Shop { users, catalog, orders: nobody() };
    let begun = Instant::now();
    let overview = json_of(ask(web::router(shop.clone()), as_ada("/web/overview")).await).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "the slow one was waited for: {:?}", begun.elapsed());
    assert_eq!(overview["user"]["id"], 1);
    let missing: Vec<_> = overview["missing"].as_array().unwrap().iter().map(|one| &one["part"]).collect();
    assert_eq!(missing, ["orders", "catalog"]);
    let screen = json_of(ask(mobile::router(shop.clone()), as_ada("/mobile/overview")).await).await;
    assert_eq!(screen["missing"], json!(["orders", "catalog"]));
    let page = text(ask(web::router(shop), as_ada("/web")).await).await;
    assert!(page.contains("catalog does not answer just now"), "{page}");
}

#[tokio::test]
async fn without_any_answer_there_is_none() {
    let shop = Shop { users: nobody(), catalog: nobody(), orders: nobody() };
    let answer = ask(web::router(shop), as_ada("/web/overview")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn who_is_unknown_or_has_not_logged_in_is_told_so() {
    let (users, _task) = service(users()).await;
    let shop = Shop { users, catalog: nobody(), orders: nobody() };
    let nine = Request::get("/web/overview").header("shop-user", "9").body(Body::empty()).unwrap();
    assert_eq!(ask(web::router(shop.clone()), nine).await.status(), StatusCode::NOT_FOUND);
    let none = Request::get("/mobile/overview").body(Body::empty()).unwrap();
    assert_eq!(ask(mobile::router(shop), none).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_shows_what_is_there_and_writes_names_as_text() {
    let ((users, _u), (catalog, _c), (orders, _o)) =
        (service(users()).await, service(catalog()).await, service(orders()).await);
    let router = web::router(Shop { users, catalog, orders });
    let welcome = text(ask(router.clone(), Request::get("/web").body(Body::empty()).unwrap()).await).await;
    assert!(welcome.contains("Ada &lt;Lovelace&gt;") && !welcome.contains("Ada <Lovelace>"), "{welcome}");
    let front = ask(router.clone(), as_ada("/web")).await;
    assert!(front.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    let front = text(front).await;
    assert!(front.contains("4.50 €") && front.contains("/web/orders/7") && front.contains("2 × Tea"), "{front}");
    let steps = text(ask(router.clone(), as_ada("/web/orders/8/steps")).await).await;
    assert!(steps.contains("reserve-inventory") && !steps.contains("data-final"), "{steps}");
    let steps = text(ask(router, as_ada("/web/orders/7/steps")).await).await;
    assert!(steps.contains("data-final"), "{steps}");
}

#[tokio::test]
async fn the_forms_order_and_cancel_and_lead_to_the_order() {
    let (orders, _task) = service(orders()).await;
    let router = web::router(Shop { users: nobody(), catalog: nobody(), orders });
    let form = "product_id=1&quantity=2&mode=2pc&key=k";
    let request = Request::post("/web/orders").header("shop-user", "1").body(Body::from(form)).unwrap();
    let answer = ask(router.clone(), request).await;
    assert_eq!(
        (answer.status(), &answer.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/web/orders/8".parse().unwrap())
    );
    let cancel =
        |user: &str| Request::post("/web/orders/7/cancel").header("shop-user", user).body(Body::empty()).unwrap();
    assert_eq!(ask(router.clone(), cancel("1")).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(ask(router, cancel("2")).await.status(), StatusCode::NOT_FOUND);
}
