use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    fixture::{
        SHOP,
        api_server::{ApiServer, POLICIES, ROUTES, Watches},
        objects,
    },
    index::{Affected, Index, ObjectName},
};

const PODS: &str = "/api/v1/pods";
const SERVICES: &str = "/api/v1/services";

/// A registry over an API server, and the index that it feeds.
struct Fixture {
    server: ApiServer,
    batches: mpsc::UnboundedReceiver<Vec<Event>>,
    condition: channel::Receiver<Arc<Condition>>,
    metrics: Arc<Metrics>,
    index: Index,
    told: usize,
    stop: CancellationToken,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fixture {
    fn over(server: ApiServer) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (registry, condition) = KubernetesRegistry::new(server.client(), metrics.clone());
        let (sender, batches) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let run = registry.run(move |events| drop(sender.send(events)), stop.clone());
        TaskTracker::new().spawn(run);
        Self { server, batches, condition, metrics, index: Index::default(), told: 0, stop }
    }

    async fn synced(server: ApiServer) -> Self {
        let mut fixture = Self::over(server);
        fixture.next().await;
        fixture
    }

    /// Takes the next batch, which must come within an hour of the paused clock.
    async fn next(&mut self) {
        let batch = timeout(Duration::from_secs(3600), self.batches.recv()).await.expect("something is told").unwrap();
        for event in batch {
            match event {
                Event::Apply(object) => self.index.apply(object, &mut Affected::default()),
                Event::Delete(key) => self.index.delete(&key, &mut Affected::default()),
                Event::Reset(objects) => self.index.reset(objects, &mut Affected::default()),
            }
        }
        self.told += 1;
    }

    async fn eventually(&mut self, holds: impl Fn(&Index) -> bool) {
        while !holds(&self.index) {
            self.next().await;
        }
    }

    async fn complains(&mut self, wanted: &str) {
        let holds = |condition: &Arc<Condition>| {
            let all = condition.broken.iter().chain(&condition.warnings);
            all.map(|one| format!("{}: {}", one.place, one.message)).collect::<Vec<_>>().join("\n").contains(wanted)
        };
        let waited = timeout(Duration::from_secs(3600), self.condition.wait_for(holds)).await.is_ok();
        assert!(waited, "{wanted:?} is not among {:?}", self.condition.borrow());
    }

    async fn is_content(&mut self) {
        let holds = |condition: &Arc<Condition>| condition.broken.is_empty() && condition.warnings.is_empty();
        let waited = timeout(Duration::from_secs(3600), self.condition.wait_for(holds)).await.is_ok();
        assert!(waited, "{:?}", self.condition.borrow());
    }
}

fn has(pod: &str) -> impl Fn(&Index) -> bool + use<'_> {
    move |index| index.pod(&ObjectName::new("shop", pod)).is_some()
}

fn pod(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{containers: []}}\n")
}

fn policy(spec: &str) -> String {
    format!("apiVersion: weft.dev/v1\nkind: InboundPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n")
}

#[tokio::test(start_paused = true)]
async fn the_first_event_holds_all_kinds_as_the_file_registry_has_them() {
    let fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    let mut expected = Index::default();
    expected.reset(objects(SHOP), &mut Affected::default());
    assert_eq!(fixture.index, expected);
    assert_eq!(fixture.told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_is_read_in_pages() {
    let many: String = (0..600).map(|at| pod(&format!("p{at}"))).collect();
    let fixture = Fixture::synced(ApiServer::with(&many)).await;
    assert_eq!(fixture.index.count(ObjectKind::Pod), 600);
    let pages = fixture.server.requests().iter().filter(|one| one.contains("pods?") && one.contains("limit=")).count();
    assert_eq!(pages, 3);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_as_they_come() {
    let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    fixture.server.apply(&pod("new"));
    fixture.eventually(has("new")).await;
    fixture.server.delete(PODS, "shop", "new");
    fixture.eventually(|index| !has("new")(index)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_when_a_watch_is_cut() {
    let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    fixture.server.cut();
    fixture.server.apply(&pod("new"));
    fixture.server.delete(PODS, "shop", "users-a");
    fixture.eventually(|index| has("new")(index) && !has("users-a")(index)).await;
    let lists = fixture.server.requests().iter().filter(|one| one.contains("pods?") && !one.contains("watch=")).count();
    assert_eq!(lists, 1, "it goes on from where it was");
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_only_what_differs_is_told() {
    let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    fixture.server.forget();
    fixture.server.delete(PODS, "shop", "users-a");
    fixture.server.forget();
    fixture.eventually(|index| !has("users-a")(index)).await;
    assert!(has("users-b")(&fixture.index));
    assert_eq!(fixture.index.count(ObjectKind::Service), 2);
    fixture.is_content().await;
}

#[tokio::test(start_paused = true)]
async fn kinds_that_are_not_there_are_picked_up_when_they_come_and_let_go_when_they_leave() {
    let server = ApiServer::bare();
    server.apply(SHOP);
    let mut fixture = Fixture::synced(server).await;
    assert_eq!(fixture.index.count(ObjectKind::Pod), 3);
    fixture.server.define(POLICIES);
    fixture.server.define(ROUTES);
    fixture.server.apply(&policy("{mode: mtls}"));
    fixture.eventually(|index| index.count(ObjectKind::InboundPolicy) == 1).await;
    fixture.server.undefine(POLICIES);
    fixture.eventually(|index| index.count(ObjectKind::InboundPolicy) == 0).await;
    fixture.is_content().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_for_what_stands_before_the_api_server_and_knows_nothing() {
    let mut fixture = Fixture::synced(ApiServer::with(&(policy("{mode: mtls}") + "---\n" + SHOP))).await;
    fixture.server.hide(true);
    fixture.server.forget();
    for kind in ["Pod: pods", "Service: services", "InboundPolicy: inboundpolicies"] {
        fixture.complains(&format!("{kind} are not found")).await;
    }
    assert!(fixture.batches.try_recv().is_err(), "nothing is told");
    fixture.server.hide(false);
    fixture.is_content().await;
    fixture.server.apply(&pod("new"));
    fixture.eventually(has("new")).await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_of_every_cluster_is_never_believed_to_be_gone() {
    let server = ApiServer::with(SHOP);
    let mut fixture = Fixture::synced(server).await;
    fixture.server.undefine(PODS);
    fixture.complains("Pod: pods are not found, and it is not sure that they are gone").await;
    assert!(fixture.batches.try_recv().is_err(), "nothing is told");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_keeps_its_last_good_state_and_no_other_back() {
    let mut fixture = Fixture::synced(ApiServer::with(&(policy("{mode: mtls}") + "---\n" + SHOP))).await;
    let strict = |index: &Index| index.policies().any(|policy| policy.require_mtls);
    assert!(strict(&fixture.index));
    fixture.server.apply(&policy("{mode: permissive, alowedClients: []}"));
    fixture.complains("InboundPolicy shop/p: spec cannot be read: unknown field `alowedClients`").await;
    fixture.server.forget();
    fixture.server.apply(&pod("new"));
    fixture.eventually(has("new")).await;
    assert!(strict(&fixture.index), "the last good state holds");
    fixture.server.delete(POLICIES, "shop", "p");
    fixture.eventually(|index| index.count(ObjectKind::InboundPolicy) == 0).await;
    fixture.is_content().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_named_until_it_is_gone() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: odd, namespace: shop, annotations: \
                   {weft.dev/opaque-ports: db}}\nspec: {ports: [{port: 80}]}\n";
    let mut fixture = Fixture::synced(ApiServer::with(service)).await;
    fixture.complains("Service shop/odd: metadata.annotations.weft.dev/opaque-ports is not a port: \"db\"").await;
    fixture.server.delete(SERVICES, "shop", "odd");
    fixture.is_content().await;
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_is_named_and_waited_for() {
    let server = ApiServer::with(SHOP);
    server.fail(40);
    let mut fixture = Fixture::over(server);
    fixture.complains("Service: the API server refuses").await;
    fixture.next().await;
    assert_eq!(fixture.index.count(ObjectKind::Service), 2);
    fixture.is_content().await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_heard_of_again_although_nothing_of_it_has_changed() {
    let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    fixture.server.fail(10);
    fixture.server.cut();
    fixture.complains("the API server refuses").await;
    fixture.is_content().await;
    fixture.server.bookmark();
    fixture.server.delete(SERVICES, "shop", "orders");
    fixture.eventually(|index| index.count(ObjectKind::Service) == 1).await;
    assert_eq!(fixture.told, 2, "what has not changed is not told again");
}

#[tokio::test(start_paused = true)]
async fn watches_that_fail_at_once_are_opened_ever_more_seldom_and_named() {
    for (watches, wanted) in [
        (Watches::End, "Pod: the API server ends watches at once"),
        (Watches::Expire, "Pod: the API server does not watch from where it has just listed"),
    ] {
        let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
        fixture.server.have_watches(Some(watches));
        fixture.complains(wanted).await;
        let pods = || fixture.server.requests().iter().filter(|one| one.contains("pods?")).count();
        let before = pods();
        sleep(Duration::from_secs(600)).await;
        let requests = pods() - before;
        assert!((60..300).contains(&requests), "{requests} in ten minutes");
        fixture.server.have_watches(None);
        fixture.is_content().await;
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_of_watches_and_of_how_late_endpoints_are() {
    let mut fixture = Fixture::synced(ApiServer::with(SHOP)).await;
    fixture.server.fail(3);
    fixture.server.cut();
    let caused = "labels: {kubernetes.io/service-name: users}, annotations: \
                  {endpoints.kubernetes.io/last-change-trigger-time: '2026-01-01T00:00:00Z'}";
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: new, namespace: shop, {caused}}}\n"
    );
    fixture.server.apply(&(slice + "addressType: IPv4\nendpoints: []\n"));
    fixture.eventually(|index| index.count(ObjectKind::EndpointSlice) == 2).await;
    let text = fixture.metrics.text().unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    assert!(value("weft_registry_lag_seconds").unwrap() > 1e6, "{text}");
    assert_eq!(value("weft_registry_lists_total{kind=\"Pod\"}"), Some(1.0), "it goes on from where it was");
    assert!(value("weft_registry_heard_timestamp_seconds{kind=\"Node\"}").unwrap() > 1.7e9);
    assert!(text.contains("weft_registry_watch_failures_total{kind="), "{text}");
}
