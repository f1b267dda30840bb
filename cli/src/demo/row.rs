//! The table's rows: figures of the last seconds for each Service. How they get on a screen: `screen.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::totals::{Page, Totals};

/// Rates and quantiles are those of so many looks at the proxies.
const WINDOW: usize = 3;

/// One Service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub service: String,
    /// Ready pods behind it.
    pub replicas: usize,
    /// Requests a second.
    pub rps: f64,
    /// Share of the requests that succeeded, as their clients saw it; `None` without requests.
    pub success: Option<f64>,
    /// Milliseconds; `None` without requests.
    pub p50_ms: Option<f64>,
    /// Milliseconds; `None` without requests.
    pub p99_ms: Option<f64>,
    /// Share of the requests that went over mTLS; `None` without requests.
    pub mtls: Option<f64>,
    /// Requests sent again since the start.
    pub retries: u64,
    /// Endpoints that are set aside now.
    pub ejected: u64,
}

/// What was read of all proxies, from one look to the next.
#[derive(Debug, Default)]
pub struct History {
    /// The last page of each pod.
    pages: BTreeMap<String, Page>,
    window: VecDeque<(Duration, Page)>,
    /// Since the start.
    total: Page,
}

impl History {
    /// Takes the pages of all pods that answered, so long after those before.
    pub fn push(&mut self, after: Duration, pages: BTreeMap<String, Page>) {
        let mut change = Page::new();
        for (pod, page) in pages {
            let before = self.pages.remove(&pod).unwrap_or_default();
            for (service, totals) in &page {
                let since = before.get(service).map_or_else(|| totals.clone(), |before| totals.since(before));
                change.entry(service.clone()).or_default().merge(&since);
            }
            self.pages.insert(pod, page);
        }
        for (service, totals) in &change {
            self.total.entry(service.clone()).or_default().merge(totals);
        }
        self.window.push_back((after, change));
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
    }

    /// The rows of these Services, each with its number of ready pods.
    pub fn rows(&self, services: &[(&str, usize)]) -> Vec<Row> {
        services.iter().map(|(service, replicas)| self.row(service, *replicas)).collect()
    }

    /// Everything since the start, over all Services.
    pub fn total(&self) -> Totals {
        let mut total = Totals::default();
        self.total.values().for_each(|service| total.merge(service));
        total
    }

    fn row(&self, service: &str, replicas: usize) -> Row {
        let mut recent = Totals::default();
        let mut seconds = 0.0;
        for (after, page) in &self.window {
            seconds += after.as_secs_f64();
            if let Some(totals) = page.get(service) {
                recent.merge(totals);
            }
        }
        let now = self.window.back().and_then(|(_, page)| page.get(service));
        Row {
            service: service.to_owned(),
            replicas,
            rps: if seconds > 0.0 { recent.requests / seconds } else { 0.0 },
            success: share(recent.requests - recent.failed, recent.requests),
            p50_ms: recent.latency.quantile(0.5),
            p99_ms: recent.latency.quantile(0.99),
            mtls: share(recent.mtls, recent.requests),
            retries: self.total.get(service).map_or(0.0, |total| total.retries) as u64,
            ejected: now.map_or(0.0, |now| now.ejected) as u64,
        }
    }
}

/// `part` of `whole`, where there is any.
pub fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then_some(part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pages(pods: &[(&str, f64, f64)]) -> BTreeMap<String, Page> {
        let page = |requests: f64, ejected: f64| {
            let totals = Totals { requests, mtls: requests, retries: requests / 10.0, ejected, ..Totals::default() };
            Page::from([("users".to_owned(), totals)])
        };
        pods.iter().map(|(pod, requests, ejected)| ((*pod).to_owned(), page(*requests, *ejected))).collect()
    }

    #[test]
    fn rates_are_those_of_the_last_looks() {
        let mut history = History::default();
        for requests in [0.0, 100.0, 200.0, 300.0, 330.0] {
            history.push(SECOND, pages(&[("a", requests, 0.0)]));
        }
        let row = &history.rows(&[("users", 3)])[0];
        assert!((row.rps - 230.0 / 3.0).abs() < 1e-9, "{}", row.rps);
        assert_eq!((row.replicas, row.success, row.mtls, row.retries), (3, Some(1.0), Some(1.0), 33));
    }

    #[test]
    fn a_pod_that_went_or_missed_a_look_leaves_its_counts_in_the_total() {
        let mut history = History::default();
        history.push(SECOND, pages(&[("a", 10.0, 0.0), ("b", 20.0, 0.0)]));
        history.push(SECOND, pages(&[("b", 30.0, 0.0)]));
        history.push(SECOND, pages(&[("a", 15.0, 0.0), ("c", 5.0, 0.0)]));
        assert_eq!(history.total().requests, 50.0);
    }

    #[test]
    fn endpoints_that_came_back_are_no_longer_shown_as_ejected() {
        let mut history = History::default();
        history.push(SECOND, pages(&[("a", 10.0, 1.0)]));
        assert_eq!(history.rows(&[("users", 1)])[0].ejected, 1);
        history.push(SECOND, pages(&[("a", 20.0, 0.0)]));
        assert_eq!(history.rows(&[("users", 1)])[0].ejected, 0);
    }

    #[test]
    fn a_service_without_requests_has_a_row_without_shares() {
        let row = &History::default().rows(&[("orders", 2)])[0];
        assert_eq!((row.rps, row.success, row.p99_ms, row.mtls), (0.0, None, None, None));
    }
}
