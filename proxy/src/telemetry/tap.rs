//! Taps: who looks on, for a while, at the requests that end at this proxy.
//!
//! While nobody does, a request costs one look at a flag. Whoever does has a bounded queue: a worker puts what is wanted
//! into it and never waits; what does not fit is dropped and counted. Who may look on: `tap/`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use weft_api::pb::{ObserveRequest, ObserveResponse, TapDirection, TappedRequest};

use super::{
    access_log::{Entry, without_query},
    labels::Direction,
};

/// Who may look on at the same time.
const MOST_TAPS: usize = 8;
/// Requests that wait to be sent to one of them.
const QUEUE: usize = 1024;
/// Requests in one message.
const BATCH: usize = 128;

/// All taps of this proxy. Cheap to clone.
#[derive(Clone, Default)]
pub struct Taps(Arc<All>);

#[derive(Default)]
struct All {
    on: AtomicBool,
    taps: ArcSwap<Vec<Arc<Tap>>>,
}

struct Tap {
    wanted: ObserveRequest,
    queue: mpsc::Sender<TappedRequest>,
    dropped: AtomicU64,
}

/// One tap, until it is dropped.
pub struct Observation {
    tap: Arc<Tap>,
    queued: mpsc::Receiver<TappedRequest>,
    all: Taps,
}

/// There are as many taps as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_TAPS} taps look on already: end one of them")]
pub struct TooManyTaps;

impl Taps {
    /// Whether anybody looks on.
    pub fn are_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }

    /// Begins to look on at what is wanted.
    ///
    /// # Errors
    /// Too many do already.
    pub fn observe(&self, wanted: ObserveRequest) -> Result<Observation, TooManyTaps> {
        let (queue, queued) = mpsc::channel(QUEUE);
        let tap = Arc::new(Tap { wanted, queue, dropped: AtomicU64::new(0) });
        let before = self.0.taps.rcu(|taps| {
            let room = taps.len() < MOST_TAPS;
            Arc::new(taps.iter().chain(room.then_some(&tap)).cloned().collect::<Vec<_>>())
        });
        if before.len() >= MOST_TAPS {
            return Err(TooManyTaps);
        }
        self.0.on.store(true, Relaxed);
        Ok(Observation { tap, queued, all: self.clone() })
    }

    /// Shows a request that has ended to whoever wants it. Never waits.
    pub(super) fn record(&self, entry: &Entry<'_>) {
        if entry.method.is_empty() {
            return;
        }
        for tap in self.0.taps.load().iter().filter(|tap| wants(&tap.wanted, entry)) {
            if tap.queue.try_send(request(entry)).is_err() {
                tap.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn end(&self, ended: &Arc<Tap>) {
        self.0.taps.rcu(|taps| taps.iter().filter(|tap| !Arc::ptr_eq(tap, ended)).cloned().collect::<Vec<_>>());
        // One that began meanwhile has set the flag before or sets it after: at worst it is set for nobody.
        self.0.on.store(!self.0.taps.load().is_empty(), Relaxed);
    }
}

impl Observation {
    /// What has ended since the last call: waits for at least one request. Cancel-safe.
    pub async fn next(&mut self) -> ObserveResponse {
        let mut requests = Vec::new();
        self.queued.recv_many(&mut requests, BATCH).await;
        ObserveResponse { requests, dropped: self.tap.dropped.swap(0, Relaxed) }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.all.end(&self.tap);
    }
}

fn wants(wanted: &ObserveRequest, entry: &Entry<'_>) -> bool {
    let status = u32::from(entry.status);
    (wanted.method.is_empty() || wanted.method == entry.method)
        && entry.path.starts_with(&wanted.path_prefix)
        && (wanted.service.is_empty() || wanted.service == entry.service)
        && status >= wanted.least_status
        && (wanted.most_status == 0 || status <= wanted.most_status)
}

fn request(entry: &Entry<'_>) -> TappedRequest {
    let began = entry.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let direction = match entry.direction {
        Direction::Inbound => TapDirection::Inbound,
        Direction::Outbound => TapDirection::Outbound,
    };
    TappedRequest {
        direction: direction.into(),
        method: entry.method.to_owned(),
        path: without_query(entry.path).to_owned(),
        status: entry.status.into(),
        grpc_status: entry.grpc_status.map(u32::from),
        error: entry.error.unwrap_or_default().to_owned(),
        duration_us: u64::try_from(entry.elapsed.as_micros()).unwrap_or(u64::MAX),
        client: entry.client.0.ip().to_canonical().to_string(),
        server: entry.endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default(),
        service: entry.service.to_owned(),
        route: entry.route.to_owned(),
        identity: entry.identity.unwrap_or_default().to_owned(),
        began_unix_us: i64::try_from(began.as_micros()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::access_log::fixture::entry;

    fn any() -> ObserveRequest {
        ObserveRequest::default()
    }

    #[tokio::test]
    async fn a_request_is_shown_without_its_query_to_whoever_looks_on() {
        let taps = Taps::default();
        assert!(!taps.are_on());
        taps.record(&entry());
        let mut tap = taps.observe(any()).unwrap();
        assert!(taps.are_on());
        taps.record(&Entry { path: "/a?token=secret", ..entry() });
        let shown = tap.next().await;
        assert_eq!((shown.requests.len(), shown.dropped), (1, 0));
        let request = &shown.requests[0];
        assert_eq!((request.method.as_str(), request.path.as_str(), request.status), ("GET", "/a", 200));
        assert_eq!((request.client.as_str(), request.server.as_str()), ("10.0.0.1", "10.0.0.7:8080"));
        assert_eq!((request.duration_us, request.direction()), (1_500, TapDirection::Outbound));
        drop(tap);
        assert!(!taps.are_on());
    }

    #[tokio::test]
    async fn a_filter_decides_before_the_queue_does() {
        let taps = Taps::default();
        let wanted = ObserveRequest {
            method: "POST".into(),
            path_prefix: "/orders".into(),
            least_status: 500,
            most_status: 599,
            service: "shop/users".into(),
        };
        let mut tap = taps.observe(wanted).unwrap();
        let good = Entry { method: "POST", path: "/orders/7", status: 503, ..entry() };
        (0..2 * QUEUE).for_each(|_| taps.record(&entry()));
        for other in [
            Entry { method: "GET", ..good },
            Entry { path: "/users", ..good },
            Entry { status: 404, ..good },
            Entry { status: 600, ..good },
            Entry { service: "shop/orders", ..good },
            Entry { method: "", path: "", ..good },
        ] {
            taps.record(&other);
        }
        taps.record(&good);
        let shown = tap.next().await;
        assert_eq!((shown.requests.len(), shown.dropped), (1, 0));
        assert_eq!(shown.requests[0].path, "/orders/7");
    }

    #[tokio::test]
    async fn a_tap_that_does_not_keep_up_loses_requests_and_is_told_how_many() {
        let taps = Taps::default();
        let (mut slow, mut quick) = (taps.observe(any()).unwrap(), taps.observe(any()).unwrap());
        for _ in 0..QUEUE + 5 {
            taps.record(&entry());
            quick.next().await;
        }
        let mut shown = slow.next().await;
        assert_eq!(shown.dropped, 5);
        while shown.requests.len() < QUEUE {
            let more = slow.next().await;
            assert_eq!(more.dropped, 0);
            shown.requests.extend(more.requests);
        }
        assert_eq!(shown.requests.len(), QUEUE);
    }

    #[test]
    fn there_are_only_so_many_taps_and_one_that_ends_makes_room() {
        let taps = Taps::default();
        let mut all: Vec<_> = (0..MOST_TAPS).map(|_| taps.observe(any()).unwrap()).collect();
        assert_eq!(taps.observe(any()).err(), Some(TooManyTaps));
        all.pop();
        all.push(taps.observe(any()).unwrap());
        assert_eq!(taps.0.taps.load().len(), MOST_TAPS);
    }
}
