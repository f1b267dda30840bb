//! What the tests are given: a cluster with Weft installed, namespaces of their own in it, an app, a load and its judge.

mod cluster;
mod command;
mod judge;
mod load;
mod manifest;
mod metrics;
mod namespace;
mod watch;

pub use cluster::{Cluster, Turn, alone, shared, two_workers};
pub use command::{Output, Running};
pub use judge::{Deliveries, assert_nothing_lost};
pub use load::Load;
pub use manifest::{APP, app, client};
pub use namespace::Namespace;
pub use watch::{PodEvent, Watch, micros_now};

use std::time::Duration;

use serde_json::Value;

/// What the app saw of a request, from its answer.
pub fn seen(answer: &Value) -> Value {
    let body = answer["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The values of a header field, among pairs of name and value.
pub fn header<'a>(headers: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = headers.as_array().unwrap().iter();
    pairs.filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect()
}

/// Asks until the answer is yes, or the time is over.
pub async fn eventually<F: Future<Output = bool>>(limit: Duration, what: &str, mut ask: impl FnMut() -> F) {
    let end = tokio::time::Instant::now() + limit;
    while !ask().await {
        assert!(tokio::time::Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
