//! `shop measure`: what an order costs, wherever it is sent, to compare the services with the monolith.

use std::time::Duration;

use axum::http::HeaderMap;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::books::print;
use crate::settings;
use crate::trace::TraceContext;

/// The arguments of `shop measure`. Orders go to `ORDERS_URL` (`http://orders:8080`) itself.
#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// How many orders.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub orders: u32,
    /// Clients at the same time, each with one order after the other.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub clients: u32,
}

/// Sends the orders, one piece each, and prints rate and times.
///
/// # Errors
/// An order that is not completed.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let orders = settings::service("ORDERS_URL", "http://orders:8080")?;
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..arguments.clients {
        let orders = orders.clone();
        clients.spawn(async move {
            let mut times = Vec::new();
            for number in (client..arguments.orders).step_by(arguments.clients as usize) {
                let items = json!([{ "product_id": number % 8 + 1, "quantity": 1 }]);
                let body = json!({ "user_id": number % 3 + 1, "items": items });
                let sent = Instant::now();
                let order: Value = orders.post("/orders", &body, HeaderMap::new(), &TraceContext::default()).await?;
                anyhow::ensure!(order["status"] == "completed", "an order is not completed: {order}");
                times.push(sent.elapsed());
            }
            Ok(times)
        });
    }
    let mut times: Vec<Duration> = Vec::new();
    while let Some(ended) = clients.join_next().await {
        times.extend(ended??);
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let [p50, p99] = [50, 99].map(|percent| super::reckoning::quantile(&mut times, percent).as_secs_f64() * 1000.0);
    print(&format!("{} orders, {rate:.0} a second, p50 {p50:.1} ms, p99 {p99:.1} ms", times.len()))
}
