//! Compares what a load says of its requests with what the apps wrote down.

use std::collections::HashMap;

use serde_json::Value;

/// One request that an app received.
pub struct Delivery {
    /// When, in microseconds since 1970.
    pub at: u128,
    /// The pod.
    pub pod: String,
    /// The id.
    pub id: String,
}

/// All that arrived, in no order.
pub struct Deliveries(pub Vec<Delivery>);

impl Deliveries {
    /// Reads the lines that the app writes.
    pub fn parse(text: &str) -> Self {
        let parse = |line: &str| {
            let mut words = line.split(' ');
            let (at, pod, _method, id) = (words.next()?, words.next()?, words.next()?, words.next()?);
            Some(Delivery { at: at.parse().ok()?, pod: pod.to_owned(), id: id.to_owned() })
        };
        Self(text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("a torn record: {line:?}"))).collect())
    }

    /// How often each id came.
    fn counts(&self) -> HashMap<&str, usize> {
        let mut counts = HashMap::new();
        for delivery in &self.0 {
            *counts.entry(delivery.id.as_str()).or_default() += 1;
        }
        counts
    }

    /// When a pod received its first and its last request.
    pub fn span(&self, pod: &str) -> Option<(u128, u128)> {
        let times = self.0.iter().filter(|delivery| delivery.pod == pod).map(|delivery| delivery.at);
        Some((times.clone().min()?, times.max()?))
    }
}

/// No request failed; none, not even a GET, came twice; each POST that was answered came once; and the load was what it
/// should be, but for what a busy machine holds up: at least half of `expected` requests.
pub fn assert_nothing_lost(what: &str, report: &Value, deliveries: &Deliveries, expected: u64) {
    let failed = (&report["failed_gets"], &report["failed_posts"]);
    assert_eq!(failed, (&0.into(), &0.into()), "{what}, of {}: {:#}", report["requests"], report["failures"]);
    assert!(report["requests"].as_u64().unwrap() * 2 >= expected, "{what}: {} of {expected} sent", report["requests"]);
    let counts = deliveries.counts();
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{what}: delivered more than once: {twice:?}");
    for id in report["posted"].as_array().unwrap() {
        assert_eq!(counts.get(id.as_str().unwrap()), Some(&1), "{what}: answered but not delivered: {id}");
    }
}
