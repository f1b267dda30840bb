//! What the customers were told against what the shop has.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::customer::Deeds;
use crate::books::{Keepers, Totals};

/// Problems that a report names, at most.
const NAMED: usize = 20;

/// What became of the load.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Report {
    /// Orders that were confirmed.
    pub orders: usize,
    /// Of the shop since the load began.
    pub completed: i64,
    /// Of the shop since the load began.
    pub cancelled: i64,
    /// How often something was tried again.
    pub retries: u64,
    /// Looks around.
    pub looks: u64,
    /// Of these.
    pub failed_looks: u64,
    /// Half of the orders were confirmed within this time: milliseconds from the first try.
    pub p50_ms: u128,
    /// And all but one in a hundred within this.
    pub p99_ms: u128,
    /// What does not add up; empty is what one wants.
    pub wrong: Vec<String>,
}

/// Waits for the books to settle, then compares.
pub async fn reckon(keepers: &Keepers, before: &Totals, deeds: Deeds, patience: Duration) -> anyhow::Result<Report> {
    let books = keepers.settled(patience).await;
    let totals = keepers.totals(patience).await?;
    let mut wrong = books.err().map(|error| error.to_string()).into_iter().collect::<Vec<_>>();
    let end = Instant::now() + patience;
    for (id, is_cancelled) in &deeds.orders {
        let status = keepers.status(*id, end).await;
        wrong.extend(status.map_or_else(
            |failure| Some(format!("order {id} was confirmed, but: {failure}")),
            |status| ended_wrong(*id, *is_cancelled, &status),
        ));
    }
    let (completed, cancelled) = (totals.completed - before.completed, totals.cancelled - before.cancelled);
    wrong.extend(compare(&deeds, completed + cancelled + totals.pending - before.pending));
    wrong.truncate(NAMED);
    let mut times = deeds.times;
    let [p50, p99] = [50, 99].map(|percent| quantile(&mut times, percent));
    Ok(Report {
        orders: deeds.orders.len(),
        completed,
        cancelled,
        retries: deeds.retries,
        looks: deeds.looks,
        failed_looks: deeds.failed_looks,
        p50_ms: p50.as_millis(),
        p99_ms: p99.as_millis(),
        wrong,
    })
}

impl Report {
    /// Whether all adds up.
    ///
    /// # Errors
    /// What does not.
    pub fn verdict(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.wrong.is_empty(), "it does not add up: {}", self.wrong.join("; "));
        Ok(())
    }
}

/// The time within which so many of a hundred were done; zero for none.
pub fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

fn ended_wrong(id: i64, is_cancelled: bool, status: &str) -> Option<String> {
    match (status, is_cancelled) {
        ("cancelled", _) | ("completed", false) => None,
        ("completed", true) => Some(format!("order {id} was cancelled by its customer, but is completed")),
        _ => Some(format!("order {id} has not reached its end: {status}")),
    }
}

/// `made`: how many orders the shop has more than before.
pub(super) fn compare(deeds: &Deeds, made: i64) -> Vec<String> {
    let mut wrong = deeds.lost.clone();
    wrong.extend(deeds.doubled.iter().map(|id| format!("two customers were told of order {id}")));
    let confirmed = deeds.orders.len() as i64;
    if made != confirmed {
        wrong.push(format!("the shop has {made} orders more than before, but has confirmed {confirmed}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_too_many_is_found_and_one_that_was_told_of_twice() {
        let deeds = Deeds { orders: [(7, false)].into(), ..Deeds::default() };
        assert_eq!(compare(&deeds, 1), Vec::<String>::new());
        assert_eq!(compare(&deeds, 2), ["the shop has 2 orders more than before, but has confirmed 1"]);
        let mut two = Deeds { orders: [(7, false)].into(), ..Deeds::default() };
        two.add(deeds);
        assert_eq!(compare(&two, 1), ["two customers were told of order 7"]);
    }

    #[test]
    fn every_order_must_reach_the_end_that_its_customer_knows_of() {
        assert_eq!(ended_wrong(7, false, "completed"), None);
        assert_eq!(ended_wrong(7, false, "cancelled"), None);
        assert_eq!(ended_wrong(7, true, "cancelled"), None);
        assert!(ended_wrong(7, true, "completed").is_some());
        assert!(ended_wrong(7, false, "pending").is_some());
    }
}
