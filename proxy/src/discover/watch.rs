//! The client of the Watch stream: connects, says what it holds, feeds the picture, and tells what it acts on.
//!
//! Does not secure the channel (`identity/` makes it) and decides nothing about resources (`resources.rs`).

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, transport::Channel};
use tracing::{info, warn};
use weft_api::{Key, pb};

use super::{Directory, Picture, backoff::Backoff, outgoing::message};

/// Messages to the control plane that may wait in the channel; further ones are composed when there is room.
const OUTGOING: usize = 16;

/// Messages that are taken before the picture is published once for all of them.
const BATCH: usize = 1000;

/// The list of a large cluster's Services or a large destination's endpoints, in bytes.
const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// How often unused destinations are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// Limits of the Watch stream.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// For a connection, and for the first word on a stream. Default 10 s.
    pub answer: Duration,
    /// The first pause between tries. Default 100 ms.
    pub pause: Duration,
    /// The longest. Default 10 s.
    pub longest_pause: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// The client. Owns the picture; workers hold its [`Directory`].
#[derive(Debug)]
pub struct Watch {
    pub(super) picture: Picture,
    pub(super) workload: pb::Workload,
    /// The bundle and leaf in use, from `identity/`.
    pub(super) reports: watch::Receiver<Option<pb::Report>>,
    /// One that the control plane has not been told yet.
    pub(super) report: Option<pb::Report>,
    settings: WatchSettings,
    backoff: Backoff,
}

/// How a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamEnd<E: Error + 'static> {
    #[error("the control plane closed the stream")]
    Closed,
    #[error("cannot connect to the control plane")]
    Connect(#[source] E),
    #[error("the control plane did not answer within {0:?}")]
    Silent(Duration),
    #[error("the control plane refused or broke the stream")]
    Status(#[source] Box<Status>),
}

impl Watch {
    /// A client for the proxy beside `workload`.
    pub fn new(
        picture: Picture,
        workload: pb::Workload,
        reports: watch::Receiver<Option<pb::Report>>,
        settings: WatchSettings,
    ) -> Self {
        let backoff = Backoff::new(settings.pause, settings.longest_pause);
        Self { picture, workload, reports, report: None, settings, backoff }
    }

    /// Keeps a stream open until `stop`. `connect` makes a new channel for each try, with the leaf and bundle of that
    /// moment; it should send HTTP/2 pings, as nothing else notices a control plane that vanished without a word.
    ///
    /// # Errors
    /// None: it ends only when it is told to.
    pub async fn run<C, F, E>(mut self, mut connect: C, stop: CancellationToken) -> Result<(), Infallible>
    where
        C: FnMut() -> F,
        F: Future<Output = Result<Channel, E>>,
        E: Error + 'static,
    {
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                end = self.stream(connect()) => end,
            };
            let pause = self.interrupted(&end);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    /// The stream has ended. Returns how long to wait before the next.
    fn interrupted(&mut self, end: &(dyn Error + 'static)) -> Duration {
        self.picture.directory.freshness.lost();
        let pause = self.backoff.pause();
        warn!(error = end, ?pause, "discovery interrupted, the last picture stays");
        pause
    }

    /// One stream from its first word to its end.
    async fn stream<E>(&mut self, connecting: impl Future<Output = Result<Channel, E>>) -> StreamEnd<E>
    where
        E: Error + 'static,
    {
        let answer = self.settings.answer;
        let channel = match timeout(answer, connecting).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return StreamEnd::Connect(error),
            Err(_) => return StreamEnd::Silent(answer),
        };
        let (sender, receiver) = mpsc::channel(OUTGOING);
        let hello = self.hello();
        let told = async {
            sender.send(message(pb::watch_request::Message::Hello(hello))).await.ok();
            let mut client = pb::discovery_client::DiscoveryClient::new(channel)
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE);
            client.watch(ReceiverStream::new(receiver)).await
        };
        match timeout(answer, told).await {
            Ok(Ok(response)) => self.exchange(response.into_inner(), &sender).await,
            Ok(Err(status)) => StreamEnd::Status(Box::new(status)),
            Err(_) => StreamEnd::Silent(answer),
        }
    }

    /// Feeds the picture and tells what changes, until the stream ends.
    async fn exchange<E: Error + 'static>(
        &mut self,
        mut stream: Streaming<pb::WatchResponse>,
        sender: &mpsc::Sender<pb::WatchRequest>,
    ) -> StreamEnd<E> {
        let directory: Arc<Directory> = self.picture.directory();
        let mut sweep = interval_at(Instant::now() + SWEEP, SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let news = self.has_news();
            tokio::select! {
                first = stream.message() => if let Err(end) = self.take(first, &mut stream) {
                    self.picture.publish();
                    return end;
                },
                () = directory.demand.asked() => self.picture.meet_demand(),
                Ok(()) = self.reports.changed() => self.report = self.reports.borrow_and_update().clone(),
                room = sender.reserve(), if news => match room {
                    Ok(room) => if let Some(next) = self.next() {
                        room.send(next);
                    },
                    Err(_) => return StreamEnd::Closed,
                },
                _ = sweep.tick() => self.picture.sweep(),
            }
            self.picture.publish();
        }
    }

    /// Takes a message and all that have come with it.
    fn take<E: Error + 'static>(
        &mut self,
        first: Result<Option<pb::WatchResponse>, Status>,
        stream: &mut Streaming<pb::WatchResponse>,
    ) -> Result<(), StreamEnd<E>> {
        let mut next = first;
        for taken in 1.. {
            let response = next.map_err(|status| StreamEnd::Status(Box::new(status)))?.ok_or(StreamEnd::Closed)?;
            self.receive(response);
            if taken == BATCH {
                break;
            }
            let Some(ready) = stream.message().now_or_never() else { break };
            next = ready;
        }
        Ok(())
    }

    fn receive(&mut self, response: pb::WatchResponse) {
        use pb::watch_response::Message;
        match response.message {
            Some(Message::Resource(resource)) => self.picture.receive(resource),
            Some(Message::Removed(pb::Removed { key: Some(key) })) => match Key::try_from(key) {
                Ok(key) => self.picture.removed(&key),
                Err(error) => warn!(%error, "removal of something unknown"),
            },
            Some(Message::Synced(pb::Synced {})) => {
                self.backoff.reset();
                self.picture.synced();
                info!("discovery synced");
            }
            // A later release's messages are ignored.
            Some(Message::Removed(pb::Removed { key: None })) | None => {}
        }
    }
}
