//! Load from a pod, at a constant rate, and its judgement.

use std::time::Duration;

use tokio::time::Instant;

use super::{Deliveries, Namespace, Running, assert_nothing_lost, eventually};

/// Requests per second of one load; two at a time are the rule.
const RATE: u64 = 150;
/// Enough for answers that take a quarter of a second.
const CLIENTS: u64 = 40;

/// A load that runs.
pub struct Load<'a> {
    namespace: &'a Namespace,
    what: String,
    running: Running,
    began: Instant,
}

impl<'a> Load<'a> {
    /// HTTP/1.1 to `orders` and gRPC to `users`, 300 requests per second in all.
    pub async fn both(namespace: &'a Namespace) -> (Self, Self) {
        // The load begins when the way is free: that a new pod or Service takes its time to be known is another test's.
        for target in ["orders:8080", "users:8080"] {
            let answered = async || namespace.get("client", target, &["/"]).await["status"] == 200;
            eventually(Duration::from_secs(30), "the first answer", answered).await;
        }
        let http = Self::start(namespace, "orders:8080", "http1");
        let grpc = Self::start(namespace, "users:8080", "grpc");
        // Before anything happens to it, the load must have worked.
        tokio::time::sleep(Duration::from_secs(3)).await;
        (http, grpc)
    }

    /// Load from the pod `client`.
    pub fn start(namespace: &'a Namespace, target: &str, protocol: &str) -> Self {
        let (rate, clients) = (RATE.to_string(), CLIENTS.to_string());
        let words = ["--rate", &rate, "--clients", &clients, "--protocol", protocol, "--seconds", "900", "--until-eof"];
        let words = [&["load", target], &words[..]].concat();
        let running = namespace.start_interactive("client", &words);
        Self { namespace, what: format!("{protocol} to {target}"), running, began: Instant::now() }
    }

    /// Ends it and judges it: nothing failed, nothing was lost, nothing came twice.
    pub async fn assert_unharmed(mut self) -> Deliveries {
        let expected = RATE * self.began.elapsed().as_secs().saturating_sub(1);
        self.running.end_input();
        let report = self.running.success().await.json();
        let deliveries = self.namespace.deliveries().await;
        assert_nothing_lost(&self.what, &report, &deliveries, expected);
        deliveries
    }
}
