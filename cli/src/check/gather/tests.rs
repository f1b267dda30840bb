//! Against an API server that is away, and one that refuses.

use std::convert::Infallible;

use hyper::http::{Response, StatusCode};
use kube::client::Body;
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::check::{report, rules};

type Request = hyper::http::Request<Body>;

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_silent_ends_no_check_later_than_its_deadline() {
    let silent = service_fn(|_: Request| std::future::pending::<Result<Response<Body>, Infallible>>());
    let begin = Instant::now();
    let facts = facts(&Client::new(silent, "default"), true).await;
    assert!(begin.elapsed() <= 3 * DEADLINE, "{:?}", begin.elapsed());
    assert!(matches!(facts.pods, Err(Unknown::Deadline(DEADLINE))), "{:?}", facts.pods);
    assert!(facts.rights.iter().all(|right| right.allowed.is_err()));
    assert!(!report::ok(&rules::after(&facts, None)));
}

#[tokio::test]
async fn credentials_that_are_over_are_told_as_such() {
    for (body, told) in [(r#"{"kind": "Status", "code": 401, "message": "who are you"}"#, "who are you"), ("{}", "401")]
    {
        let refusing = service_fn(move |_: Request| async move {
            Ok::<_, Infallible>(Response::builder().status(401).body(Body::from(body.as_bytes().to_vec())).unwrap())
        });
        let facts = facts(&Client::new(refusing, "default"), false).await;
        let finding = &rules::after(&facts, None)[0];
        assert!(finding.detail.contains(told), "{finding:?}");
        assert!(finding.next.as_ref().unwrap().contains("log in again"), "{finding:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_api_servers_words() {
    let refusing = service_fn(|request: Request| async move {
        let message = format!("you may not {} {}", request.method(), request.uri().path());
        let status = serde_json::json!({"kind": "Status", "status": "Failure", "code": 403, "message": message});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, Infallible>(Response::builder().status(StatusCode::FORBIDDEN).body(body).unwrap())
    });
    let facts = facts(&Client::new(refusing, "default"), false).await;
    let told = facts.nodes.unwrap_err();
    assert_eq!(told.to_string(), "you may not GET /api/v1/nodes");
    assert_eq!(told.next(), "run this as a user who has that right");
    assert!(facts.rights.is_empty(), "rights are asked for before an installation only");
}
