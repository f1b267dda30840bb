//! One Watch stream, from its hello to its end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until, timeout},
};
use tonic::{Status, Streaming};
use tracing::{debug, info};
use weft_api::{
    Key, Version,
    pb::{self, watch_request::Message},
};

use super::{
    hub::Hub,
    subscriber::{Subscriber, TooManySubscriptions},
    watch::Services,
};
use crate::{
    identity::Caller,
    index::ObjectName,
    pace::TooMany,
    telemetry::{Metrics, Over},
};

/// How long a new stream may take to say who it is for.
const HELLO: Duration = Duration::from_secs(10);
/// A leaf that lives longer than this is looked at again then; tokio's clock does not reach for ever.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// The responses of one stream, which follow from its requests.
pub(super) fn responses(
    services: Arc<Services>,
    caller: Caller,
    requests: Streaming<pb::WatchRequest>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let session = Session { services, caller, requests, subscriber: None, _place: place };
    stream::unfold(Some(session), |session| async move {
        let mut session = session?;
        match session.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(session))),
            Ok(None) => None,
            Err(status) => {
                debug!(code = ?status.code(), reason = status.message(), "stream ended");
                Some((Err(status), None))
            }
        }
    })
}

struct Session {
    services: Arc<Services>,
    caller: Caller,
    requests: Streaming<pb::WatchRequest>,
    /// None until the hello.
    subscriber: Option<(Subscriber, Instant)>,
    /// Among the streams of its connection.
    _place: OwnedSemaphorePermit,
}

impl Session {
    /// The next response. None: the proxy has ended the stream.
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if self.subscriber.is_none() {
            let Some(request) = self.first().await? else { return Ok(None) };
            // Who may not join takes nobody's turn.
            let (pod, hello) = self.check(request)?;
            self.services.admission.turn().await.map_err(|line| self.too_many(&line))?;
            self.subscriber = Some((self.join(pod, hello)?, self.leaf_end()?));
        }
        let Some((subscriber, leaf_end)) = &mut self.subscriber else { return Ok(None) };
        loop {
            tokio::select! {
                biased;
                () = self.services.shutdown.draining() => return Err(Status::unavailable("the control plane is ending")),
                () = sleep_until(*leaf_end) => {
                    return Err(Status::unauthenticated("the leaf that opened the stream has expired"));
                }
                request = self.requests.message() => match request? {
                    Some(request) => handle(subscriber, request, &self.services.hub.metrics)?,
                    None => return Ok(None),
                },
                bytes = subscriber.next() => return Ok(Some(bytes)),
            }
        }
    }

    async fn first(&mut self) -> Result<Option<pb::WatchRequest>, Status> {
        let late = |_| Status::deadline_exceeded("no hello came");
        timeout(HELLO, self.requests.message()).await.map_err(late)?
    }

    fn leaf_end(&self) -> Result<Instant, Status> {
        let peer = self.caller.peer.as_ref().ok_or_else(|| Status::unauthenticated("no leaf"))?;
        let left = peer.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(Instant::now() + left.min(LONGEST))
    }

    /// Checks the hello against what the connection proves.
    fn check(&self, request: pb::WatchRequest) -> Result<(ObjectName, pb::Hello), Status> {
        let Some(Message::Hello(hello)) = request.message else {
            return Err(Status::invalid_argument("a stream begins with a hello"));
        };
        let identity = self.caller.identity(SystemTime::now());
        let identity = identity.map_err(|error| Status::unauthenticated(error.to_string()))?;
        let workload = hello.workload.clone().unwrap_or_default();
        let namespace_is_own = identity.namespace() == workload.namespace;
        if identity.trust_domain() != self.services.trust_domain
            || !namespace_is_own
            || identity.service_account() != workload.service_account
        {
            return Err(Status::permission_denied(format!("{identity} may not ask as another workload")));
        }
        let pod = ObjectName::new(&workload.namespace, &workload.pod);
        if self.services.hub.service_account(&pod).is_some_and(|account| account != workload.service_account) {
            return Err(Status::permission_denied(format!("pod {pod} has another service account than {identity}")));
        }
        Ok((pod, hello))
    }

    fn join(&self, pod: ObjectName, hello: pb::Hello) -> Result<Subscriber, Status> {
        let identity = self.caller.peer.as_ref().map(|peer| tracing::field::display(&peer.identity));
        info!(identity, %pod, client.addr = %self.caller.address, proxy_version = hello.proxy_version, "proxy joined");
        let hub: &Arc<Hub> = &self.services.hub;
        let joined = hub.join(pod, hello.proxy_version, versions(hello.have).collect());
        joined.map_err(|error| too_many_subscriptions(&error, &hub.metrics))
    }

    fn too_many(&self, line: &TooMany) -> Status {
        self.services.hub.metrics.refused(Over::Streams);
        Status::unavailable(format!("too many streams begin at once: {line}"))
    }
}

fn too_many_subscriptions(error: &TooManySubscriptions, metrics: &Metrics) -> Status {
    metrics.refused(Over::Subscriptions);
    Status::resource_exhausted(error.to_string())
}

fn handle(subscriber: &mut Subscriber, request: pb::WatchRequest, metrics: &Metrics) -> Result<(), Status> {
    match request.message {
        Some(Message::Subscribe(subscribe)) => {
            subscriber.subscribe(keys(subscribe.keys)).map_err(|error| too_many_subscriptions(&error, metrics))?
        }
        Some(Message::Unsubscribe(unsubscribe)) => subscriber.unsubscribe(keys(unsubscribe.keys)),
        Some(Message::Applied(applied)) => subscriber.applied(versions(applied.versions)),
        Some(Message::Report(report)) => subscriber.report(report),
        Some(Message::Hello(_)) => return Err(Status::invalid_argument("a hello comes first and only once")),
        // A message of a later release (the contract: a reader ignores what it does not know).
        None => {}
    }
    Ok(())
}

/// Keys of kinds that this release does not know are left out.
fn keys(keys: Vec<pb::ResourceKey>) -> Vec<Key> {
    keys.into_iter().filter_map(|key| key.try_into().ok()).collect()
}

fn versions(versions: Vec<pb::ResourceVersion>) -> impl Iterator<Item = (Key, Version)> {
    versions.into_iter().filter_map(|one| Some((one.key?.try_into().ok()?, Version(one.version))))
}
