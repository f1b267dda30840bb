use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Endpoint};
use weft_api::{
    Destination, Key, Resource, ServiceName, Version,
    pb::{self, discovery_client::DiscoveryClient, watch_request::Message as Asked, watch_response::Message as Answer},
};
use weft_certs::{Peer, SpiffeId};

use super::{listener::serve_connection, topic::*, *};
use crate::{
    fixture::{SHOP, mesh, objects},
    identity::{Authority, AuthoritySettings, Caller, Proofs, Trust},
    index::{Affected, Index, ObjectKey, ObjectKind, ObjectName, arbitrary},
    registry::Event,
    shutdown::Shutdown,
    telemetry::Metrics,
};

struct Rig {
    _folder: TempDir,
    hub: Arc<Hub>,
    services: Arc<Services>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Rig {
    fn new(max_subscriptions: usize) -> Self {
        Self::letting_in(1_000_000, max_subscriptions)
    }

    /// So many streams a second; who would wait longer than ten seconds is sent away.
    fn letting_in(admitted_per_second: u32, max_subscriptions: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let identity = SpiffeId::control_plane("cluster.local", "weft").unwrap();
        let leaf_lifetime = Duration::from_secs(3600);
        let settings = AuthoritySettings { identity, leaf_lifetime, issuer_lifetime: 100 * leaf_lifetime };
        let authority = Arc::new(Authority::in_folder(settings, folder.path()).unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let hub = HubSettings { mesh: mesh(), trust: authority.trust().borrow().clone(), max_subscriptions };
        let hub = Hub::new(hub, metrics.clone());
        hub.change(vec![Event::Reset(objects(SHOP))]);
        let settings =
            ServiceSettings { admitted_per_second, admission_wait: Duration::from_secs(10), certificates_per_peer: 5 };
        let shutdown = Shutdown::default();
        let proofs = Proofs::JoinTokens(folder.path().to_owned());
        let services = Services::new(hub.clone(), authority, proofs, settings, shutdown.clone());
        Self { _folder: folder, hub, services, metrics, shutdown }
    }

    fn apply(&self, text: &str) {
        self.hub.change(objects(text).into_iter().map(Event::Apply).collect());
    }

    /// A stream of a caller with this service account of the shop.
    async fn connect(&self, account: &str) -> Proxy {
        let identity = SpiffeId::new("cluster.local", "shop", account).unwrap();
        let peer = Peer { identity, not_after: SystemTime::now() + Duration::from_secs(3600) };
        let caller = Caller { address: "10.1.0.1:5000".parse().unwrap(), peer: Some(peer) };
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.shutdown.spawn_connection(serve_connection(self.services.clone(), far, caller));
        let mut near = Some(TokioIo::new(near));
        let connector = tower::service_fn(move |_| {
            let near = near.take().ok_or_else(|| std::io::Error::other("one connection only"));
            std::future::ready(near)
        });
        let channel = Endpoint::from_static("http://control-plane").connect_with_connector(connector).await.unwrap();
        let (requests, receiver) = mpsc::channel(16);
        let responses = DiscoveryClient::new(channel).watch(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Proxy { requests, responses }
    }

    /// A proxy beside users-a that has said hello.
    async fn proxy(&self, have: &[(Key, Version)]) -> Proxy {
        let proxy = self.connect("users").await;
        proxy.hello("users-a", "users", have).await;
        proxy
    }
}

struct Proxy {
    requests: mpsc::Sender<pb::WatchRequest>,
    responses: Streaming<pb::WatchResponse>,
}

#[derive(Clone, Debug, PartialEq)]
enum Said {
    Has(Key, Version, Resource),
    Removed(Key),
    Synced,
}

impl Proxy {
    async fn ask(&self, message: Asked) {
        self.requests.send(pb::WatchRequest { message: Some(message) }).await.unwrap();
    }

    async fn hello(&self, pod: &str, account: &str, have: &[(Key, Version)]) {
        let workload = pb::Workload {
            namespace: "shop".into(),
            pod: pod.into(),
            service_account: account.into(),
            ..Default::default()
        };
        let have = have.iter().map(|(key, version)| pb::ResourceVersion { key: Some(key.into()), version: version.0 });
        let (workload, proxy_version) = (Some(workload), "1".to_owned());
        self.ask(Asked::Hello(pb::Hello { workload, proxy_version, have: have.collect() })).await;
    }

    async fn subscribe(&self, keys: &[Key]) {
        self.ask(Asked::Subscribe(pb::Subscribe { keys: keys.iter().map(Into::into).collect() })).await;
    }

    async fn next(&mut self) -> Result<Said, Status> {
        let message = timeout(Duration::from_secs(10), self.responses.message()).await.expect("an answer in time")?;
        Ok(match message.expect("the stream goes on").message.unwrap() {
            Answer::Resource(resource) => {
                let (key, version, resource) = Resource::read(resource).unwrap();
                Said::Has(key, version, resource)
            }
            Answer::Removed(removed) => Said::Removed(removed.key.unwrap().try_into().unwrap()),
            Answer::Synced(_) => Said::Synced,
        })
    }

    /// What comes before the mark, by key.
    async fn until_synced(&mut self) -> BTreeMap<Key, Option<Version>> {
        let mut said = BTreeMap::new();
        loop {
            match self.next().await.unwrap() {
                Said::Has(key, version, _) => drop(said.insert(key, Some(version))),
                Said::Removed(key) => drop(said.insert(key, None)),
                Said::Synced => return said,
            }
        }
    }

    async fn ends_with(&mut self) -> Code {
        loop {
            if let Err(status) = self.next().await {
                return status.code();
            }
        }
    }
}

fn destination(text: &str) -> Destination {
    text.parse().unwrap()
}

fn service(text: &str) -> Key {
    Key::Service(text.parse().unwrap())
}

/// The slice of users with these addresses.
fn slice(addresses: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: users-1, namespace: shop, labels: \
         {{kubernetes.io/service-name: users}}}}\naddressType: IPv4\nports: [{{name: http, port: 8080}}]\n\
         endpoints: [{{addresses: [{addresses}]}}]\n"
    )
}

#[tokio::test]
async fn everyone_gets_the_list_and_ones_own_policy_and_then_the_mark() {
    let rig = Rig::new(100);
    let said = rig.proxy(&[]).await.until_synced().await;
    let keys: Vec<Key> = said.into_keys().collect();
    assert_eq!(keys, [Key::Cluster, service("shop/orders"), service("shop/users"), Key::Inbound, Key::TrustBundle]);
}

#[tokio::test]
async fn a_proxy_that_comes_back_gets_only_what_differs() {
    let rig = Rig::new(100);
    let mut first = rig.proxy(&[]).await;
    let mut have: Vec<_> =
        first.until_synced().await.into_iter().map(|(key, version)| (key, version.unwrap())).collect();
    let endpoints = Key::Endpoints(destination("shop/users:80"));
    first.subscribe(std::slice::from_ref(&endpoints)).await;
    let Said::Has(key, version, _) = first.next().await.unwrap() else { panic!("endpoints") };
    have.push((key, version));
    have.push((service("shop/gone"), Version(7)));
    drop(first);

    rig.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: orders, namespace: shop}\nspec: {clusterIP: 10.96.0.3}\n",
    );
    let mut again = rig.proxy(&have).await;
    let said: Vec<Key> = again.until_synced().await.into_keys().collect();
    assert_eq!(said, [service("shop/gone"), service("shop/orders")]);

    rig.apply(&slice("10.1.0.1"));
    let Said::Has(key, _, Resource::Endpoints(list)) = again.next().await.unwrap() else { panic!("endpoints") };
    assert_eq!((key, list.len()), (endpoints, 1), "what it had is subscribed again");
}

#[tokio::test]
async fn what_is_unknown_or_gone_is_answered_so_and_told_when_it_comes() {
    let rig = Rig::new(100);
    let mut proxy = rig.proxy(&[]).await;
    proxy.until_synced().await;
    let keys = [Key::Routes(destination("shop/new:80")), Key::Workload("10.1.0.77".parse().unwrap())];
    proxy.subscribe(&keys).await;
    for key in &keys {
        assert_eq!(proxy.next().await.unwrap(), Said::Removed(key.clone()));
    }
    let new = "apiVersion: v1\nkind: Service\nmetadata: {name: new, namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    rig.apply(new);
    let mut said = vec![proxy.next().await.unwrap(), proxy.next().await.unwrap()];
    said.sort_by_key(|said| format!("{said:?}"));
    assert!(matches!(&said[..], [Said::Has(Key::Routes(_), ..), Said::Has(Key::Service(_), ..)]), "{said:?}");
    let key = ObjectKey { kind: ObjectKind::Service, name: ObjectName::new("shop", "new") };
    rig.hub.change(vec![Event::Delete(key)]);
    let gone = [proxy.next().await.unwrap(), proxy.next().await.unwrap()];
    assert!(gone.iter().all(|said| matches!(said, Said::Removed(_))), "{gone:?}");
}

#[tokio::test]
async fn two_hundred_streams_are_told_of_what_was_made_once() {
    let rig = Rig::new(100);
    let key = Key::Endpoints(destination("shop/users:80"));
    let mut proxies = Vec::new();
    for _ in 0..200 {
        let mut proxy = rig.proxy(&[]).await;
        proxy.until_synced().await;
        proxy.subscribe(std::slice::from_ref(&key)).await;
        proxy.next().await.unwrap();
        proxies.push(proxy);
    }
    assert_eq!((rig.hub.picture().streams.len(), rig.metrics.resolutions("endpoints")), (200, 1));
    rig.apply(&slice("10.1.0.1"));
    let mut versions = Vec::new();
    for proxy in &mut proxies {
        let Said::Has(_, version, _) = proxy.next().await.unwrap() else { panic!("endpoints") };
        versions.push(version);
    }
    assert!(versions.iter().all(|version| *version == versions[0]));
    assert_eq!(rig.metrics.resolutions("endpoints"), 2);
    drop(proxies);
    timeout(Duration::from_secs(10), async {
        while !rig.hub.picture().streams.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("streams leave");
    assert_eq!(rig.hub.live_topics(), 2, "what nobody wants is not kept: cluster and bundle remain");
}

#[tokio::test]
async fn who_may_not_join_takes_nobody_s_turn() {
    let rig = Rig::letting_in(1, 100);
    let stranger = async || {
        let mut stranger = rig.connect("users").await;
        stranger.hello("users-a", "orders", &[]).await;
        stranger.ends_with().await
    };
    let refused = futures_util::future::join_all((0..20).map(|_| stranger())).await;
    assert!(refused.iter().all(|code| *code == Code::PermissionDenied), "{refused:?}");
    rig.proxy(&[]).await.until_synced().await;
}

#[tokio::test]
async fn a_stream_must_ask_as_the_workload_that_its_leaf_names() {
    let rig = Rig::new(100);
    for (pod, account) in [("users-a", "orders"), ("users-b", "users")] {
        let mut proxy = rig.connect("users").await;
        proxy.hello(pod, account, &[]).await;
        assert_eq!(proxy.ends_with().await, Code::PermissionDenied, "{pod} {account}");
    }
    let mut proxy = rig.connect("users").await;
    proxy.subscribe(&[]).await;
    assert_eq!(proxy.ends_with().await, Code::InvalidArgument);
}

#[test]
fn a_proxy_is_known_at_its_own_pods_address_alone() {
    let rig = Rig::new(10);
    let is_at = |address: &str, namespace, account| {
        let identity = SpiffeId::new("cluster.local", namespace, account).unwrap();
        rig.hub.has_proxy_at(address.parse().unwrap(), &identity)
    };
    assert!(is_at("10.1.0.1", "shop", "users") && is_at("10.1.0.9", "other", "thief"));
    assert!(!is_at("10.1.0.1", "shop", "orders") && !is_at("10.1.0.9", "shop", "thief"));
    assert!(!is_at("10.1.0.2", "shop", "default"), "it has no sidecar");
    assert!(!is_at("10.1.0.3", "shop", "users"), "nobody has that address");
}

#[tokio::test]
async fn a_stream_has_a_limit_of_subscriptions() {
    let rig = Rig::new(2);
    let mut proxy = rig.proxy(&[]).await;
    let key = |port: u16| Key::Endpoints(Destination { service: "shop/users".parse().unwrap(), port });
    proxy.subscribe(&[key(1), key(2), key(1)]).await;
    proxy.until_synced().await;
    proxy.subscribe(&[key(3)]).await;
    assert_eq!(proxy.ends_with().await, Code::ResourceExhausted);
}

#[tokio::test]
async fn the_picture_says_who_is_behind() {
    let rig = Rig::new(100);
    let mut proxy = rig.proxy(&[]).await;
    let said = proxy.until_synced().await;
    let behind = || rig.hub.picture().streams[0].behind.len();
    assert_eq!(behind(), said.len());
    let versions = said
        .into_iter()
        .map(|(key, version)| pb::ResourceVersion { key: Some((&key).into()), version: version.unwrap().0 });
    proxy.ask(Asked::Applied(pb::Applied { versions: versions.collect() })).await;
    let bundle_version = rig.hub.picture().bundle_version;
    let report = pb::Report { bundle_version, leaf_issuer: "ab".into(), leaf_expiry_unix_seconds: 9 };
    proxy.ask(Asked::Report(report)).await;
    proxy.subscribe(&[Key::Workload("10.1.0.2".parse().unwrap())]).await;
    proxy.next().await.unwrap();
    let picture = rig.hub.picture();
    assert_eq!(picture.streams[0].behind, ["KIND_WORKLOAD 10.1.0.2"]);
    assert_eq!(picture.streams[0].bundle_is_current, Some(true));
}

#[tokio::test]
async fn a_drain_ends_the_streams() {
    let rig = Rig::new(100);
    let mut proxy = rig.proxy(&[]).await;
    proxy.until_synced().await;
    rig.shutdown.drain();
    assert_eq!(proxy.ends_with().await, Code::Unavailable);
    rig.shutdown.finished(Duration::from_secs(10)).await.unwrap();
}

/// Every topic that the objects of [`arbitrary`] can have anything to do with.
fn all_topics() -> Vec<Topic> {
    let mut topics = vec![Topic::Cluster];
    for namespace in arbitrary::NAMESPACES {
        for name in arbitrary::NAMES {
            let service = ServiceName::new(namespace, name).unwrap();
            topics.push(Topic::Service(service.clone()));
            topics.push(Topic::Inbound(ObjectName::new(namespace, name)));
            for port in 1..3 {
                let destination = Destination { service: service.clone(), port };
                topics.push(Topic::Endpoints(destination.clone()));
                topics.extend(arbitrary::NAMESPACES.map(|client| Topic::Routes(destination.clone(), client.into())));
            }
        }
    }
    topics.extend(arbitrary::ADDRESSES.map(|address| Topic::Workload(address.parse().unwrap())));
    topics
}

proptest! {
    #[test]
    fn resolving_what_a_change_touches_is_as_good_as_resolving_all(
        batches in prop::collection::vec(prop::collection::vec(arbitrary::change(), 1..4), 1..10),
    ) {
        let anchors = weft_certs::Root::generate(weft_certs::Validity::lasting(SystemTime::now(), Duration::from_secs(60)));
        let bundle = weft_certs::TrustBundle::new([anchors.unwrap().certificate().clone()]).unwrap();
        let mut world = World { index: Index::default(), mesh: mesh(), trust: Trust { bundle, issuer: "".into() } };
        let mut kept: BTreeMap<Topic, Option<Resource>> = BTreeMap::new();
        all_topics().into_iter().for_each(|topic| drop(kept.insert(topic.clone(), topic.resolve(&world))));
        for batch in batches {
            let mut affected = Affected::default();
            batch.into_iter().for_each(|change| change.make(&mut world.index, &mut affected));
            for topic in touched(&affected, &kept) {
                kept.insert(topic.clone(), topic.resolve(&world));
            }
            for (topic, resource) in &kept {
                prop_assert_eq!(resource, &topic.resolve(&world), "{:?}", topic);
            }
        }
    }
}
