//! Customers before a shop that is made up, which fails at every third request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::fake::service;

/// Orders by their keys, and which were cancelled.
type Made = Arc<Mutex<(BTreeMap<String, i64>, Vec<i64>)>>;

fn shop(made: Made) -> Router {
    let count = Arc::new(AtomicUsize::new(0));
    let fail = from_fn(move |request, next: Next| {
        let is_third = count.fetch_add(1, Ordering::Relaxed) % 3 == 2;
        async move {
            // The work is done, but the answer is lost.
            let answer = next.run(request).await;
            if is_third { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { answer }
        }
    });
    let order = async |State(made): State<Made>, headers: HeaderMap, Json(body): Json<Value>| {
        assert!(body["items"][0]["quantity"].as_i64().unwrap() > 0);
        assert_eq!(headers["authorization"], format!("Bearer t{}", body["user_id"]));
        let (orders, _) = &mut *made.lock().unwrap();
        let next = orders.len() as i64 + 1;
        let id = *orders.entry(headers["idempotency-key"].to_str().unwrap().to_owned()).or_insert(next);
        Json(json!({ "id": id, "status": "completed" }))
    };
    let cancel = async |State(made): State<Made>, Path(id): Path<i64>| {
        made.lock().unwrap().1.push(id);
        Json(json!({ "id": id, "status": "cancelled" }))
    };
    let sign_up = async |Json(body): Json<Value>| {
        let number: i64 = body["email"].as_str().unwrap().split(['-', '@']).nth(1).unwrap().parse().unwrap();
        Json(json!({ "id": number }))
    };
    let login = async |Json(body): Json<Value>| Json(json!({ "token": format!("t{}", body["user_id"]) }));
    Router::new()
        .route("/login", post(login))
        .route("/users", post(sign_up))
        .route("/orders", post(order))
        .route("/orders/{id}/cancel", post(cancel))
        .fallback(get(async || Json(json!([]))))
        .layer(fail)
        .with_state(made)
}

#[tokio::test]
async fn an_order_is_tried_until_it_is_answered_and_made_once() {
    let made = Made::default();
    let (edge, _task) = service(shop(made.clone())).await;
    let arguments = Arguments {
        orders: 30,
        customers: 3,
        mode: "mixed".into(),
        rest: Duration::ZERO,
        patience: Duration::from_secs(60),
    };
    let deeds = customers(&arguments, &edge, "shop").await;
    let (orders, cancelled) = &*made.lock().unwrap();
    assert_eq!((orders.len(), deeds.orders.len(), deeds.times.len()), (30, 30, 30));
    assert_eq!((deeds.lost.clone(), deeds.doubled.clone()), (Vec::<String>::new(), Vec::<i64>::new()));
    assert!(deeds.retries > 0 && deeds.failed_looks > 0, "{deeds:?}");
    assert!(deeds.orders.iter().all(|(id, is_cancelled)| cancelled.contains(id) == *is_cancelled));
}
