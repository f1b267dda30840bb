//! Where the time until an answer's head goes: into this proxy, or into waiting for the peer.
//!
//! Each worker counts in figures of its own, so that counting is a few plain stores; a scrape adds them up. What is
//! counted, and when: `call/` for requests that go out, `server/record.rs` for those that come in.

use std::{
    array,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{
    labels::Direction,
    metrics::{Family, HTTP_PEER, HTTP_PROXY, SHARES},
};

/// Both directions, each without and with mTLS.
const KINDS: usize = 4;

/// What one worker has counted. Only that worker writes.
pub struct Shares([Share; KINDS]);

#[derive(Default)]
struct Share {
    proxy: Times,
    peer: Times,
}

/// A histogram with one writer.
struct Times {
    counts: [AtomicU64; SHARES.len() + 1],
    nanos: AtomicU64,
}

/// All workers' figures, for a scrape.
#[derive(Clone)]
pub(super) struct AllShares {
    workers: Arc<Mutex<Vec<Arc<Shares>>>>,
    descriptions: Vec<Desc>,
}

impl Shares {
    /// Counts a request that its peer has answered: how long this proxy held it up, and how long the peer was waited for.
    pub fn record(&self, direction: Direction, mtls: bool, proxy: Duration, peer: Duration) {
        let share = &self.0[kind(direction, mtls)];
        share.proxy.observe(proxy);
        share.peer.observe(peer);
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self(array::from_fn(|_| Share::default()))
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; SHARES.len() + 1], nanos: AtomicU64::new(0) }
    }
}

impl Times {
    fn observe(&self, time: Duration) {
        let bucket = SHARES.iter().position(|bound| time <= *bound).unwrap_or(SHARES.len());
        add(&self.counts[bucket], 1);
        add(&self.nanos, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// A plain load and store: a locked instruction is only needed where two threads write.
fn add(figure: &AtomicU64, amount: u64) {
    figure.store(figure.load(Relaxed).wrapping_add(amount), Relaxed);
}

fn kind(direction: Direction, mtls: bool) -> usize {
    direction as usize * 2 + usize::from(mtls)
}

impl AllShares {
    pub(super) fn new() -> prometheus::Result<Self> {
        let labels = |family: Family| family.labels.iter().map(|label| (*label).to_owned()).collect();
        let describe = |family: Family| Desc::new(family.name.into(), family.help.into(), labels(family), [].into());
        let descriptions = vec![describe(HTTP_PROXY)?, describe(HTTP_PEER)?];
        Ok(Self { workers: Arc::default(), descriptions })
    }

    /// The figures of another worker.
    pub(super) fn of_worker(&self) -> Arc<Shares> {
        let shares = Arc::new(Shares::default());
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(shares.clone());
        shares
    }

    fn family(&self, family: Family, times: fn(&Share) -> &Times) -> MetricFamily {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |direction, mtls| {
            let all = workers.iter().map(|worker| times(&worker.0[kind(direction, mtls)]));
            metric(family, [direction.label(), if mtls { "true" } else { "false" }], all)
        };
        let metrics = Direction::ALL.into_iter().flat_map(|direction| [of(direction, false), of(direction, true)]);
        let mut shown = MetricFamily::default();
        shown.set_name(family.name.into());
        shown.set_help(family.help.into());
        shown.set_field_type(MetricType::HISTOGRAM);
        shown.set_metric(metrics.collect());
        shown
    }
}

impl Collector for AllShares {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        vec![self.family(HTTP_PROXY, |share| &share.proxy), self.family(HTTP_PEER, |share| &share.peer)]
    }
}

/// One series: the sum of what the workers have counted.
fn metric<'a>(family: Family, values: [&str; 2], workers: impl Iterator<Item = &'a Times> + Clone) -> Metric {
    let total = |of: &dyn Fn(&Times) -> u64| workers.clone().map(of).fold(0, u64::wrapping_add);
    let mut below = 0;
    let buckets = SHARES.iter().enumerate().map(|(index, bound)| {
        below += total(&|times| times.counts[index].load(Relaxed));
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(below + total(&|times| times.counts[SHARES.len()].load(Relaxed)));
    histogram.set_sample_sum(Duration::from_nanos(total(&|times| times.nanos.load(Relaxed))).as_secs_f64());
    let labels = family.labels.iter().zip(values).map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name((*name).into());
        label.set_value(value.into());
        label
    });
    let mut metric = Metric::from_label(labels.collect());
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_scrape_adds_up_what_each_worker_has_counted() {
        let metrics = Metrics::new(10);
        let (one, other) = (metrics.shares(), metrics.shares());
        one.record(Direction::Outbound, true, Duration::from_micros(40), Duration::from_millis(3));
        other.record(Direction::Outbound, true, Duration::from_micros(60), Duration::from_secs(120));
        other.record(Direction::Inbound, false, Duration::from_micros(5), Duration::from_micros(10));
        let text = metrics.scrape().unwrap();
        for line in [
            r#"weft_http_proxy_duration_seconds_bucket{direction="outbound",mtls="true",le="0.00005"} 1"#,
            r#"weft_http_proxy_duration_seconds_bucket{direction="outbound",mtls="true",le="0.0001"} 2"#,
            r#"weft_http_proxy_duration_seconds_sum{direction="outbound",mtls="true"} 0.0001"#,
            r#"weft_http_peer_duration_seconds_bucket{direction="outbound",mtls="true",le="0.0025"} 0"#,
            r#"weft_http_peer_duration_seconds_bucket{direction="outbound",mtls="true",le="0.005"} 1"#,
            r#"weft_http_peer_duration_seconds_bucket{direction="outbound",mtls="true",le="+Inf"} 2"#,
            r#"weft_http_peer_duration_seconds_count{direction="outbound",mtls="true"} 2"#,
            r#"weft_http_peer_duration_seconds_sum{direction="outbound",mtls="true"} 120.003"#,
            r#"weft_http_peer_duration_seconds_bucket{direction="inbound",mtls="false",le="0.00001"} 1"#,
            r#"weft_http_peer_duration_seconds_count{direction="inbound",mtls="true"} 0"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }
}
