//! The catalog over REST, on both databases.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;

use super::*;
use crate::db::Db;
use crate::db::testing::on_each;
use crate::faults::Faults;
use crate::testing::{ask, json_of};

async fn catalog(url: &str) -> Router {
    router(Db::open(url, &MIGRATIONS).await.unwrap(), Arc::new(Faults::none()))
}

#[tokio::test]
async fn the_first_eight_products_are_there_and_are_read_in_pages() {
    on_each(async |url| {
        let catalog = catalog(url).await;
        assert_eq!(json_of(ask(catalog.clone(), "GET", "/products", "").await).await.as_array().unwrap().len(), 8);
        let page = json_of(ask(catalog.clone(), "GET", "/products?after=2&limit=2", "").await).await;
        assert_eq!((&page[0]["id"], &page[1]["id"], page.as_array().unwrap().len()), (&json!(3), &json!(4), 2));
        let moth = json_of(ask(catalog, "GET", "/products/8", "").await).await;
        let description = "Found in relay 70. Taped to a page.";
        assert_eq!(moth, json!({ "id": 8, "name": "Moth", "description": description, "price_cents": 100 }));
    })
    .await;
}

#[tokio::test]
async fn a_created_product_can_be_read_where_location_says() {
    on_each(async |url| {
        let catalog = catalog(url).await;
        let body = r#"{"name":"Abacus","description":"Ten rods.","price_cents":900}"#;
        let answer = ask(catalog.clone(), "POST", "/products", body).await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let abacus = json_of(ask(catalog, "GET", &location, "").await).await;
        assert_eq!((&abacus["name"], &abacus["price_cents"]), (&json!("Abacus"), &json!(900)));
    })
    .await;
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_is_wrong() {
    on_each(async |url| {
        let catalog = catalog(url).await;
        let cases = [
            ("GET", "/products/99", "", 404, "there is no product 99"),
            ("GET", "/products/x", "", 400, r#"the id "x" is not a whole number"#),
            ("GET", "/products?limit=x", "", 400, r#"limit is "x", not a whole number"#),
            ("POST", "/products", "{}", 422, "name must have 1 to 100 characters; price_cents must be 1 to 100000000"),
            (
                "POST",
                "/products",
                r#"{"name":"\u0000","price_cents":1}"#,
                422,
                "name and description must have no NUL character",
            ),
        ];
        for (method, path, body, status, detail) in cases {
            let answer = ask(catalog.clone(), method, path, body).await;
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(json_of(answer).await["detail"], detail, "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_describes_the_service_and_lets_a_reader_try_it() {
    on_each(async |url| {
        let catalog = catalog(url).await;
        let api = json_of(ask(catalog.clone(), "GET", "/openapi.json", "").await).await;
        assert_eq!(api["info"]["title"], "Catalog");
        assert!(api["paths"]["/products/{id}"]["get"]["responses"]["404"].is_object(), "{api}");
        assert_eq!(ask(catalog.clone(), "GET", "/docs", "").await.headers()["location"], "/docs/");
        let page = ask(catalog.clone(), "GET", "/docs/", "").await;
        assert_eq!(page.headers()["content-type"], "text/html");
        let start = ask(catalog.clone(), "GET", "/docs/swagger-initializer.js", "").await;
        let start = start.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&start).contains("/openapi.json"));
        assert_eq!(ask(catalog, "GET", "/docs/nothing", "").await.status(), StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn a_service_is_ready_while_its_database_answers_and_healthy_without() {
    on_each(async |url| {
        let db = Db::open(url, &MIGRATIONS).await.unwrap();
        let catalog = router(db.clone(), Arc::new(Faults::none()));
        assert_eq!(ask(catalog.clone(), "GET", "/ready", "").await.status(), StatusCode::OK);
        db.pool.close().await;
        assert_eq!(ask(catalog.clone(), "GET", "/ready", "").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(catalog, "GET", "/health", "").await.status(), StatusCode::OK);
    })
    .await;
}
