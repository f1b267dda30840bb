//! `shop load`: customers who browse, order, look and at times cancel, and a reckoning at the end.
//!
//! They come in by the edge and try an order again, with the same key, until they know what became of it. Afterwards no order
//! may be lost or done twice, each must have reached its end, and the books must add up.

mod customer;
mod measure;
mod reckoning;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;

use crate::books::Keepers;
use crate::client::Client;
use crate::settings;
use customer::{Customer, Deeds};
pub use measure::{Arguments as MeasureArguments, run as measure};
use reckoning::reckon;

/// The arguments of `shop load`. The edge is at `EDGE_URL` (`http://edge:8080`), users log in with `LOGIN_PASSWORD` (shop).
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// End after so many orders, and check that they and the books add up; 0: go on until ended from outside.
    #[arg(long, default_value_t = 100)]
    pub orders: u32,
    /// Customers at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub customers: u32,
    /// How orders are carried out: saga, 2pc, choreography, or mixed for all of them in turn.
    #[arg(long, default_value = "mixed", value_parser = ["saga", "2pc", "choreography", "mixed"])]
    pub mode: String,
    /// What a customer rests between two orders, such as 500ms.
    #[arg(long, default_value = "0ms", value_parser = time)]
    pub rest: Duration,
    /// How long an order is tried again before it counts as lost, and how long the books may take to settle, such as 60s.
    #[arg(long, default_value = "60s", value_parser = time)]
    pub patience: Duration,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    settings::read_time(text).ok_or("write a time such as 500ms or 60s")
}

/// Runs the customers, then reckons; prints one line of JSON that sums up.
///
/// # Errors
/// A setting that cannot be used, and whatever does not add up at the end.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let edge = settings::service("EDGE_URL", "http://edge:8080")?;
    let password: String = settings::parsed("LOGIN_PASSWORD", "shop".into(), "a password")?;
    let keepers = Keepers::from_env()?;
    let before = keepers.totals(arguments.patience).await?;
    let deeds = customers(&arguments, &edge, &password).await;
    let report = reckon(&keepers, &before, deeds, arguments.patience).await?;
    crate::books::print(&serde_json::to_string(&report)?)?;
    report.verdict()
}

/// All that the customers did, once there are as many orders as asked for.
async fn customers(arguments: &Arguments, edge: &Client, password: &str) -> Deeds {
    let taken = Arc::new(AtomicU32::new(0));
    let mut customers = JoinSet::new();
    for _ in 0..arguments.customers {
        let (arguments, taken) = (arguments.clone(), taken.clone());
        let mut customer = Customer::new(edge.clone(), password.to_owned());
        customers.spawn(async move {
            loop {
                let turn = taken.fetch_add(1, Ordering::Relaxed);
                if arguments.orders > 0 && turn >= arguments.orders {
                    return customer.deeds;
                }
                customer.session(mode(&arguments.mode, turn), arguments.patience).await;
                if arguments.orders == 0 {
                    customer.deeds = Deeds::default();
                }
                tokio::time::sleep(arguments.rest).await;
            }
        });
    }
    let mut all = Deeds::default();
    while let Some(Ok(deeds)) = customers.join_next().await {
        all.add(deeds);
    }
    all
}

/// Of the mixed ones most are sagas.
fn mode(wanted: &str, turn: u32) -> &str {
    match (wanted, turn % 4) {
        ("mixed", 1) => "2pc",
        ("mixed", 3) => "choreography",
        ("mixed", _) => "saga",
        _ => wanted,
    }
}
