//! Services that tests make up, on loopback.

use axum::Router;
use tokio::task::JoinSet;

use crate::client::Client;

/// Where nobody answers.
pub const NOBODY: &str = "http://127.0.0.1:1";

/// Serves `router` until the set is dropped.
pub async fn service(router: Router) -> (Client, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (client, task)
}

/// A client that never gets an answer.
pub fn nobody() -> Client {
    Client::new(NOBODY).unwrap()
}
