//! Each pattern at work, when all is well and when one service is away.

use std::time::Duration;

use serde_json::{Value, json};
use weft_tests::mesh::eventually;

use crate::harness::{KEEPERS, Shop, finished, more, report};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_patterns_of_the_shop_can_be_seen_through_the_mesh() {
    let shop = Shop::open_with(&[], &[("REGISTRY_URL", "http://registry:8080")], &more()).await;
    for mode in ["saga", "2pc", "choreography"] {
        let report = report(shop.load(20, mode).await).await;
        assert_eq!((&report["orders"], &report["wrong"]), (&json!(20), &json!([])), "{mode}: {report}");
    }
    let books = finished(shop.start(&["books"]).await).await;
    assert!(books.stdout.starts_with("the books add up: "), "{books:?}");
    let customer = shop.get("orders:8080", "/orders?limit=1", None).await[0]["user_id"].as_i64().unwrap();
    everything_was_encrypted(&shop).await;
    followers_converge(&shop, customer).await;
    clients_pick_for_themselves(&shop, customer).await;
    a_part_of_an_answer_may_be_missing(&shop, customer).await;
}

/// Every service was called over mTLS alone.
async fn everything_was_encrypted(shop: &Shop) {
    for (service, ..) in KEEPERS {
        for pod in shop.pods(service).await {
            let crossed =
                async |mtls| shop.mesh.metric(&pod, "weft_http_requests_total", &["direction=\"inbound\"", mtls]).await;
            assert!(crossed("mtls=\"true\"").await > 0.0, "{} was not called", pod.name);
            assert_eq!(crossed("mtls=\"false\"").await, 0.0, "{} was called in plain text", pod.name);
        }
    }
}

/// Eventually consistent: analytics has seen every order that has ended, and lags behind none.
async fn followers_converge(shop: &Shop, customer: i64) {
    let books = shop.get("orders:8080", "/books", None).await;
    let ended = async || {
        let sales = shop.get("analytics:8080", "/sales", None).await;
        sales["lag"]["events"] == 0 && sales["completed_cents"] == books["completed_cents"]
    };
    eventually(PATIENCE, "analytics agrees with orders", ended).await;
    let told = async || {
        let told = shop.get("notifications:8080", &format!("/notifications?user_id={customer}"), None).await;
        told.as_array().is_some_and(|told| !told.is_empty())
    };
    eventually(PATIENCE, "users are notified", told).await;
}

/// The mobile BFF of the pod `picking` asks the registry for catalogs, and nobody else.
async fn clients_pick_for_themselves(shop: &Shop, customer: i64) {
    let known = async || {
        let instances = shop.get("registry:8080", "/services/catalog", None).await;
        instances["addresses"].as_array().is_some_and(|addresses| addresses.len() == 2)
    };
    eventually(PATIENCE, "the registry knows both catalogs", known).await;
    let picked = async || overview(shop, "picking:8080", "/mobile/overview", customer).await["products"][7]["id"] == 8;
    eventually(PATIENCE, "a catalog that was picked answers", picked).await;
}

/// Without a catalog, the rest of the answer is there.
async fn a_part_of_an_answer_may_be_missing(shop: &Shop, customer: i64) {
    let (web, mobile) = ("/web/overview", "/mobile/overview");
    let (whole, small) = (
        overview(shop, "web-bff:8080", web, customer).await,
        overview(shop, "mobile-bff:8080", mobile, customer).await,
    );
    assert_eq!(whole["missing"], json!([]), "{whole}");
    assert!(small.to_string().len() * 3 < whole.to_string().len(), "{small} {whole}");
    for deployment in ["catalog", "catalog-troubled"] {
        shop.mesh.sandbox.scale(deployment, 0).await.unwrap();
    }
    let away = async || overview(shop, "web-bff:8080", web, customer).await["missing"][0]["part"] == "catalog";
    eventually(PATIENCE, "the catalog is missing", away).await;
    let part = overview(shop, "web-bff:8080", web, customer).await;
    assert_eq!((&part["user"]["id"], &part["products"]), (&json!(customer), &json!([])), "{part}");
    assert!(!part["orders"].as_array().unwrap().is_empty(), "{part}");
}

async fn overview(shop: &Shop, target: &str, path: &str, customer: i64) -> Value {
    shop.get(target, path, Some(customer)).await
}
