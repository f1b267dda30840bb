//! Which steps are taken, as the Secret of an API server in small tells it.

use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    fixture::api_server::ApiServer,
    identity::{REQUESTED, STATUS_KEY, STATUS_MAP},
};

const ANCHOR: &str = "weft-trust-anchor";

struct Cluster {
    server: ApiServer,
    secrets: Secrets,
    authority: Arc<Authority>,
    /// A switch for [`Rotation::run`]'s `synced`.
    synced: watch::Sender<bool>,
    spread: watch::Sender<Spread>,
    leads: watch::Sender<bool>,
    metrics: Arc<Metrics>,
}

impl Cluster {
    /// The new root is trusted beside the old one, since an hour.
    async fn trusting() -> Self {
        let server = ApiServer::bare();
        let secrets = Secrets::new(server.client(), "weft");
        let authority = Arc::new(Authority::in_secrets(settings(), secrets.clone()).await.unwrap());
        let anchors = Api::<Secret>::namespaced(server.client(), "weft");
        let request = Patch::Merge(json!({"metadata": {"annotations": {REQUESTED: "one"}}}));
        anchors.patch(ANCHOR, &PatchParams::default(), &request).await.unwrap();
        let cluster = Self {
            server,
            secrets,
            authority,
            synced: watch::Sender::new(false),
            spread: watch::Sender::new(Spread::default()),
            leads: watch::Sender::new(true),
            metrics: Arc::new(Metrics::new().unwrap()),
        };
        cluster.advance().await;
        assert!(matches!(cluster.stage().await, Stage::Trusting(_)));
        cluster
    }

    /// The new root has taken the old one's place; the issuer is still the old one's.
    async fn promoted() -> Self {
        let cluster = Self::trusting().await;
        cluster.advance().await;
        assert_eq!(cluster.stage().await, Stage::Promoted);
        cluster
    }

    /// All leaves are to be renewed; the step that follows drops the old root.
    async fn renewing() -> Self {
        let cluster = Self::promoted().await;
        cluster.authority.rotate_issuer().await.unwrap();
        assert_eq!(cluster.stage().await, Stage::Renewing);
        cluster
    }

    async fn stage(&self) -> Stage {
        self.secrets.read().await.unwrap().stage()
    }

    async fn advance(&self) {
        let (stored, lifetime) = (self.secrets.read().await.unwrap(), self.authority.issuer_lifetime());
        self.secrets.advance(&stored, SystemTime::now() - Duration::from_secs(3600), lifetime).await.unwrap();
    }

    /// Rotates with this mesh for a minute of the paused clock.
    async fn rotate(&self, authority: &Arc<Authority>, mesh: Mesh) {
        self.rotate_by(self.secrets.read().await.unwrap(), authority, mesh).await;
    }

    /// The same by Secrets as they were once.
    async fn rotate_by(&self, stored: Stored, authority: &Arc<Authority>, mesh: Mesh) {
        let rotation = Rotation {
            authority: authority.clone(),
            secrets: self.secrets.clone(),
            stored: watch::channel(Some(Arc::new(stored))).1,
            spread: self.spread.subscribe(),
            status: StatusMap::new(self.server.client(), "weft"),
            mesh,
            metrics: self.metrics.clone(),
        };
        let mut synced = self.synced.subscribe();
        let synced = async move { drop(synced.wait_for(|synced| *synced).await) };
        let stop = CancellationToken::new();
        let task = TaskTracker::new().spawn(rotation.run(synced, self.leads.subscribe(), stop.clone()));
        sleep(Duration::from_secs(60)).await;
        stop.cancel();
        task.await.unwrap().unwrap();
    }
}

/// This pod, which has reported this.
fn mesh(live: Option<&'static str>, trust: &Trust) -> Mesh {
    let report = Report {
        bundle_version: trust.bundle.version(),
        leaf_issuer: trust.issuer.to_string(),
        leaf_expiry_unix_seconds: 0,
    };
    let pod =
        |pod: &str| ProxyReport { namespace: "shop".into(), pod: pod.into(), report: Some(report.clone()), age_ms: 0 };
    let answer = ReportsResponse { proxies: live.map(pod).into_iter().collect(), ..ReportsResponse::default() };
    Mesh {
        live: Box::new(move || live.map(|pod| ObjectName::new("shop", pod)).into_iter().collect()),
        reports: Box::new(move || answer.clone()),
        replicas: Box::new(Vec::new),
    }
}

#[tokio::test(start_paused = true)]
async fn no_step_is_taken_before_all_proxies_are_known() {
    let cluster = Cluster::renewing().await;
    let trust = cluster.authority.trust().borrow().clone();
    cluster.rotate(&cluster.authority, mesh(None, &trust)).await;
    assert_eq!(cluster.stage().await, Stage::Renewing, "nobody was asked");
    cluster.synced.send_replace(true);
    cluster.rotate(&cluster.authority, mesh(Some("users"), &trust)).await;
    assert_eq!(cluster.stage().await, Stage::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_step_goes_by_the_keys_in_the_secrets_and_not_by_those_that_this_replica_has() {
    let cluster = Cluster::renewing().await;
    let old = Arc::new(Given::new().authority);
    cluster.synced.send_replace(true);
    let trust = old.trust().borrow().clone();
    cluster.rotate(&old, mesh(Some("users"), &trust)).await;
    assert_eq!(cluster.stage().await, Stage::Renewing, "the proxy has keys of before");
}

#[tokio::test(start_paused = true)]
async fn the_issuer_is_replaced_once_however_late_the_watch_of_the_secrets_is() {
    let cluster = Cluster::promoted().await;
    let seen = cluster.secrets.read().await.unwrap();
    cluster.synced.send_replace(true);
    let trust = cluster.authority.trust().borrow().clone();
    let mut issuers = Vec::new();
    for _ in 0..2 {
        cluster.rotate_by(seen.clone(), &cluster.authority, mesh(None, &trust)).await;
        issuers.push(cluster.server.object("/api/v1/secrets", "weft", "weft-issuer").unwrap());
    }
    assert_eq!(cluster.stage().await, Stage::Renewing);
    assert_eq!(issuers[0], issuers[1]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_takes_no_bundle_is_in_the_way_and_named() {
    let cluster = Cluster::trusting().await;
    cluster.synced.send_replace(true);
    let trust = cluster.secrets.read().await.unwrap().trust().unwrap();
    let spread = |failed| Spread { version: Some(trust.bundle.version()), failed };
    cluster.spread.send_replace(spread(["full".into()].into()));
    cluster.rotate(&cluster.authority, mesh(Some("users"), &trust)).await;
    let status = cluster.server.object("/api/v1/configmaps", "weft", STATUS_MAP).unwrap();
    let status: Status = serde_json::from_str(status["data"][STATUS_KEY].as_str().unwrap()).unwrap();
    assert_eq!((status.phase, named(&status.names)), (Phase::Trusting, vec![("full", Why::Namespace)]));

    cluster.spread.send_replace(spread([].into()));
    cluster.rotate(&cluster.authority, mesh(Some("users"), &trust)).await;
    assert_eq!(cluster.stage().await, Stage::Promoted);
}

#[tokio::test(start_paused = true)]
async fn who_leads_again_writes_the_status_again_and_who_leads_no_more_tells_of_no_phase() {
    let cluster = Cluster::trusting().await;
    cluster.synced.send_replace(true);
    let says = |phase: &str| {
        let line = format!("weft_control_rotation_phase{{phase=\"{phase}\"}} 1");
        cluster.metrics.text().unwrap().contains(&line)
    };
    let trust = cluster.authority.trust().borrow().clone();
    let lead = async {
        sleep(Duration::from_secs(20)).await;
        assert!(says("trusting"));
        cluster.leads.send_replace(false);
        sleep(Duration::from_secs(1)).await;
        assert!(!says("trusting"), "another leads");
        cluster.server.delete("/api/v1/configmaps", "weft", STATUS_MAP);
        cluster.leads.send_replace(true);
    };
    tokio::join!(cluster.rotate(&cluster.authority, mesh(Some("users"), &trust)), lead);
    assert!(cluster.server.object("/api/v1/configmaps", "weft", STATUS_MAP).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_waits_looks_ever_more_seldom() {
    let cluster = Cluster::renewing().await;
    cluster.synced.send_replace(true);
    let trust = cluster.authority.trust().borrow().clone();
    let rounds = Arc::new(AtomicUsize::new(0));
    let counted = rounds.clone();
    let silent = Mesh {
        live: Box::new(|| vec![ObjectName::new("shop", "silent")]),
        reports: Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            ReportsResponse::default()
        }),
        ..mesh(None, &trust)
    };
    cluster.rotate(&cluster.authority, silent).await;
    let rounds = rounds.load(Ordering::Relaxed);
    assert!((6..16).contains(&rounds), "{rounds} in a minute");
}
