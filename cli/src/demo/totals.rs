//! What the proxies have counted per Service, out of their pages, and the difference between two pages.
//!
//! Counted is what clients saw: the outbound side, which knows of retries and failed connections. How it is shown:
//! `row.rs`.

use std::collections::BTreeMap;

use super::prometheus::{Sample, parse};

/// Figures of one Service. All but `ejected` grow only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests that have ended.
    pub requests: f64,
    /// Of these, without an answer, with 5xx, or with a gRPC status other than OK.
    pub failed: f64,
    /// Of these, sent over mTLS.
    pub mtls: f64,
    /// Requests that were sent again.
    pub retries: f64,
    /// How often an endpoint was set aside.
    pub ejections: f64,
    /// Endpoints that are set aside now.
    pub ejected: f64,
    /// Requests by their time, in a histogram.
    pub latency: Latency,
}

/// A histogram of Prometheus: cumulative counts by upper bound. The bounds are in microseconds, as whole numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency(BTreeMap<u64, f64>);

/// The totals of every Service that one proxy, or several, have sent requests to.
pub type Page = BTreeMap<String, Totals>;

/// Reads a proxy's page.
pub fn read(text: &str) -> Page {
    let mut page = Page::new();
    for sample in parse(text) {
        let service = sample.label("service");
        if !service.is_empty() {
            add(&sample, page.entry(service.to_owned()).or_default());
        }
    }
    page
}

fn add(sample: &Sample<'_>, totals: &mut Totals) {
    let value = sample.value;
    let outbound = sample.label("direction") == "outbound";
    match sample.name {
        "weft_http_requests_total" if outbound => {
            totals.requests += value;
            let grpc = sample.label("grpc_status");
            if matches!(sample.label("status_class"), "none" | "5xx") || !matches!(grpc, "" | "0") {
                totals.failed += value;
            }
            if sample.label("mtls") == "true" {
                totals.mtls += value;
            }
        }
        "weft_http_request_duration_seconds_bucket" if outbound => {
            if let Ok(bound) = sample.label("le").parse() {
                totals.latency.add(bound, value);
            }
        }
        "weft_retries_total" if sample.label("outcome") == "done" => totals.retries += value,
        "weft_balancer_ejections_total" => totals.ejections += value,
        "weft_balancer_endpoints" if sample.label("state") == "ejected" => totals.ejected += value,
        _ => {}
    }
}

impl Totals {
    /// What was counted since `before`, by the same proxy. One that has started anew counts from 0.
    pub fn since(&self, before: &Self) -> Self {
        if self.requests < before.requests {
            return self.clone();
        }
        Self {
            requests: self.requests - before.requests,
            failed: self.failed - before.failed,
            mtls: self.mtls - before.mtls,
            retries: self.retries - before.retries,
            ejections: self.ejections - before.ejections,
            ejected: self.ejected,
            latency: self.latency.since(&before.latency),
        }
    }

    /// Adds what another proxy, or another second, has counted. `ejected` is the most that any proxy has set aside.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.mtls += other.mtls;
        self.retries += other.retries;
        self.ejections += other.ejections;
        self.ejected = self.ejected.max(other.ejected);
        self.latency.merge(&other.latency);
    }
}

impl Latency {
    fn add(&mut self, bound: f64, count: f64) {
        // A float that is out of range becomes the last number, as +Inf should.
        *self.0.entry((bound * 1e6).round() as u64).or_default() += count;
    }

    fn since(&self, before: &Self) -> Self {
        let count = |(bound, now): (&u64, &f64)| (*bound, now - before.0.get(bound).unwrap_or(&0.0));
        Self(self.0.iter().map(count).collect())
    }

    fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            *self.0.entry(*bound).or_default() += count;
        }
    }

    /// The time in milliseconds that a share `q` (0 to 1) of the requests did not exceed, taken as evenly spread within
    /// its bucket; `None` without requests. What lies above the last bound is given as that bound.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = *self.0.values().next_back()?;
        if total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            if *bound == u64::MAX {
                return Some(lower);
            }
            let upper = *bound as f64 / 1000.0;
            if *count >= rank && *count > below {
                return Some(lower + (upper - lower) * (rank - below) / (count - below));
            }
            (lower, below) = (upper, *count);
        }
        Some(lower)
    }
}

#[cfg(test)]
#[path = "totals_tests.rs"]
mod tests;
