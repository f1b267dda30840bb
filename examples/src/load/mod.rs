//! A client of the shop with a steady rate: an open loop, so that a slow service does not slow down who asks.
//!
//! A request's time counts from when it was due, not from when it was sent. Requests beyond `most_in_flight` are not
//! sent, and count as failures.

mod client;
mod plan;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use client::{CallError, Client};
pub use plan::{Call, plan};
pub use stats::{Report, Stats};

const WARM_UP_PAUSE: Duration = Duration::from_millis(20);
const WARM_UP_DEADLINE: Duration = Duration::from_secs(30);

/// How much load, and how it is bounded.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a second.
    pub rate: u32,
    /// Requests that wait for their answer at most.
    pub most_in_flight: usize,
}

/// Sends requests until `stop`, then waits for the answers that are due.
pub async fn run(load: Load, client: Arc<Client>, stats: Arc<Stats>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = warm_up(&client) => stats.start(),
    }
    let mut due = tokio::time::interval(Duration::from_secs(1) / load.rate.max(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = plan();
    let mut in_flight = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = in_flight.join_next() => {}
            at = due.tick() => {
                let call = calls.next_call();
                if in_flight.len() >= load.most_in_flight {
                    stats.record(call, at, Err(&CallError::TooMany { most: load.most_in_flight }));
                } else {
                    in_flight.spawn(one(client.clone(), stats.clone(), call, at));
                }
            }
        }
    }
    while in_flight.join_next().await.is_some() {}
}

async fn one(client: Arc<Client>, stats: Arc<Stats>, call: Call, due: Instant) {
    let outcome = client.send(call).await;
    if let Err(error) = &outcome {
        warn!(%call, error = %error, "request failed");
    }
    stats.record(call, due, outcome.as_ref().map(|_| ()));
}

/// Waits until every call was answered once, since pods start in no particular order. Nothing of it is counted.
async fn warm_up(client: &Client) {
    let all_answer = async {
        for call in Call::ALL {
            while let Err(error) = client.send(call).await {
                debug!(%call, error = %error, "not ready yet");
                tokio::time::sleep(WARM_UP_PAUSE).await;
            }
        }
    };
    if tokio::time::timeout(WARM_UP_DEADLINE, all_answer).await.is_err() {
        warn!(deadline = ?WARM_UP_DEADLINE, "not every call was answered; starting all the same");
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    async fn shop() -> (std::net::SocketAddr, impl Future<Output = ()>) {
        let found = || get(|| async { "[]" }).post(|| async { StatusCode::CREATED });
        let router = Router::new()
            .route("/users", found())
            .route("/users/{id}", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .route("/orders", found())
            .route("/orders/{id}", found());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (address, async { axum::serve(listener, router).await.unwrap() })
    }

    #[tokio::test]
    async fn an_answer_of_5xx_is_a_failure_and_others_are_not() {
        let (address, serving) = shop().await;
        let client = Client::new(format!("http://{address}"), format!("http://{address}"));
        let stats = Stats::new();
        let asking = async {
            for call in Call::ALL {
                let outcome = client.send(call).await;
                stats.record(call, Instant::now(), outcome.as_ref().map(|_| ()));
            }
        };
        tokio::select! { () = serving => {}, () = asking => {} }
        let report = stats.report();
        assert_eq!((report.requests, report.failures), (5, 1));
        assert_eq!(report.last_failure.as_deref(), Some("GET /users/{id}: answered 503 Service Unavailable"));
        assert_eq!(report.calls["GET /users/{id}"].failures, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_cannot_be_sent_counts_as_a_failure() {
        let stats = Arc::new(Stats::new());
        stats.record(Call::ListUsers, Instant::now(), Err(&CallError::TooMany { most: 3 }));
        assert_eq!(stats.report().failures, 1);
    }
}
