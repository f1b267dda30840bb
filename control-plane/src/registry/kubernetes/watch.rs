//! One kind's list and watch, for ever: pages, bookmarks, a new list after a gap, pauses after failures.
//!
//! kube's own watcher does much of this, but tells neither of bookmarks nor of a watch that has begun anew; those are
//! how an idle kind is told from one that is not heard of any more.

use std::time::Duration;

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use kube::{
    Api, Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    WatchError,
    item::{Item, Read},
    pause::{Pause, jittered},
    presence::is_absent,
};
use crate::{
    index::{ObjectKey, ObjectKind},
    registry::translate::Kind,
};

/// Objects in one answer: a page of pods is a few megabytes while it is read.
const PAGE: u32 = 250;
/// A page is read from the API server's memory.
const LIST_LIMIT: Duration = Duration::from_secs(30);
/// A watch ends after this long, and goes on where it ended. One whose peer has gone without a word is noticed then.
const WATCH_SECONDS: std::ops::Range<u32> = 45..60;
/// How much longer than that it may stay open.
const WATCH_GRACE: Duration = Duration::from_secs(10);
/// One that ends sooner, without having told anything, is a failure.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);
/// How often a kind that is not there is looked for.
const ABSENT_PAUSE: Duration = Duration::from_secs(4);

/// What a watch tells, and of which kind.
pub(super) type Tidings = BoxStream<'static, (ObjectKind, Told)>;

/// What a watch tells.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are Applied, and none is kept")]
pub(super) enum Told {
    /// These objects, and no others of the kind, are there.
    Listed(Vec<Read>),
    /// The object is new or has changed.
    Applied(Read),
    /// The object is gone.
    Deleted(ObjectKey),
    /// Nothing has changed up to now.
    Unchanged,
    /// The cluster does not have the kind.
    Absent,
    /// Nothing is heard for now.
    Failed(WatchError),
}

/// Lists and watches one kind in all namespaces.
pub(super) struct Watch<K> {
    client: Client,
    api: Api<Item<K>>,
    place: Place<K>,
    pause: Pause,
    due: Option<Duration>,
    /// The last watch had expired, and nothing has been told by one since.
    expired: bool,
}

/// How far the cluster is known.
enum Place<K> {
    /// Not at all.
    Nowhere,
    /// Up to this resource version.
    Version(String),
    /// And from it on.
    Open(Open<K>),
}

struct Open<K> {
    version: String,
    events: BoxStream<'static, kube::Result<WatchEvent<Item<K>>>>,
    since: Instant,
    limit: Duration,
    idle: bool,
}

impl<K: Kind> Watch<K> {
    /// Nothing is asked before what it tells is polled.
    pub(super) fn new(client: &Client) -> Self {
        let (client, api) = (client.clone(), Api::all(client.clone()));
        Self { client, api, place: Place::Nowhere, pause: Pause::default(), due: None, expired: false }
    }

    /// All that it tells, without an end.
    pub(super) fn tidings(self) -> Tidings {
        stream::unfold(self, async |mut watch| {
            let told = watch.next().await;
            Some(((K::KIND, told), watch))
        })
        .boxed()
    }

    /// Not cancel-safe: what was under way is lost.
    async fn next(&mut self) -> Told {
        loop {
            if let Some(pause) = self.due.take() {
                sleep(pause).await;
            }
            let step = match std::mem::replace(&mut self.place, Place::Nowhere) {
                Place::Nowhere => self.list().await.map(Some),
                Place::Version(version) => self.open(version).await.map(Some),
                Place::Open(open) => self.read(open).await,
            };
            match step {
                Ok(None) => {}
                Ok(Some(told)) => return told,
                Err(error @ WatchError::NotFound { .. }) => return self.not_found(error).await,
                Err(error) => return self.failed(error),
            }
        }
    }

    /// Everything of the kind is forgotten only when it is sure that there is no such kind.
    async fn not_found(&mut self, error: WatchError) -> Told {
        match timeout(LIST_LIMIT, is_absent::<K>(&self.client)).await {
            Ok(Ok(true)) => {
                self.place = Place::Nowhere;
                self.due = Some(jittered(ABSENT_PAUSE));
                Told::Absent
            }
            _ => self.failed(error),
        }
    }

    fn failed(&mut self, error: WatchError) -> Told {
        self.due = Some(self.pause.next());
        if !matches!(error, WatchError::Expired) {
            return Told::Failed(error);
        }
        self.place = Place::Nowhere;
        let again = std::mem::replace(&mut self.expired, true);
        Told::Failed(if again { WatchError::AlwaysExpired } else { error })
    }

    /// A list or an open watch alone is no success: what follows may fail each time.
    fn succeeded(&mut self) {
        self.pause.reset();
        self.expired = false;
    }

    async fn list(&mut self) -> Result<Told, WatchError> {
        let mut listed = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = timeout(LIST_LIMIT, self.api.list(&params)).await;
            let page = page.map_err(|_| WatchError::Silent { limit: LIST_LIMIT })?;
            let page = page.map_err(|error| WatchError::new(K::PLURAL, error))?;
            listed.extend(page.items.into_iter().map(|item| item.read));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => {
                    self.place = Place::Version(page.metadata.resource_version.unwrap_or_default());
                    return Ok(Told::Listed(listed));
                }
            }
        }
    }

    async fn open(&mut self, version: String) -> Result<Told, WatchError> {
        let seconds = fastrand::u32(WATCH_SECONDS);
        let params = WatchParams::default().timeout(seconds);
        let opened = timeout(LIST_LIMIT, self.api.watch(&params, &version)).await;
        self.place = Place::Version(version.clone());
        let events = opened.map_err(|_| WatchError::Silent { limit: LIST_LIMIT })?;
        let events = events.map_err(|error| WatchError::new(K::PLURAL, error))?.boxed();
        let limit = Duration::from_secs(seconds.into()) + WATCH_GRACE;
        self.place = Place::Open(Open { version, events, since: Instant::now(), limit, idle: true });
        Ok(Told::Unchanged)
    }

    /// None: the watch has ended, as it does from time to time.
    async fn read(&mut self, mut open: Open<K>) -> Result<Option<Told>, WatchError> {
        let event = timeout(open.limit, open.events.next()).await;
        let lasted = !open.idle || open.since.elapsed() >= SHORTEST_WATCH;
        if lasted {
            self.succeeded();
        }
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => {
                self.place = Place::Version(open.version);
                return if lasted { Ok(None) } else { Err(WatchError::Ended) };
            }
            Err(_) => {
                self.place = Place::Version(open.version);
                return Err(WatchError::Silent { limit: open.limit });
            }
        };
        let failed = match event {
            Ok(WatchEvent::Added(item) | WatchEvent::Modified(item)) => {
                self.go_on(open, item.version());
                return Ok(Some(Told::Applied(item.read)));
            }
            Ok(WatchEvent::Deleted(item)) => {
                self.go_on(open, item.version());
                return Ok(Some(Told::Deleted(item.read.key)));
            }
            Ok(WatchEvent::Bookmark(bookmark)) => {
                self.go_on(open, Some(bookmark.metadata.resource_version));
                return Ok(Some(Told::Unchanged));
            }
            Ok(WatchEvent::Error(status)) => kube::Error::Api(status),
            Err(error) => error,
        };
        self.place = Place::Version(open.version);
        Err(WatchError::new(K::PLURAL, failed))
    }

    fn go_on(&mut self, open: Open<K>, version: Option<String>) {
        let version = version.unwrap_or(open.version);
        self.place = Place::Open(Open { version, idle: false, ..open });
    }
}
