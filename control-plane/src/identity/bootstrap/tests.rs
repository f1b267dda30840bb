use tempfile::TempDir;
use tokio_util::task::TaskTracker;
use weft_certs::SpiffeId;

use super::*;
use crate::{
    fixture::api_server::ApiServer,
    identity::{Authority, AuthoritySettings},
};

fn authority() -> Authority {
    let settings = AuthoritySettings {
        identity: SpiffeId::control_plane("cluster.local", "weft").unwrap(),
        leaf_lifetime: Duration::from_secs(3600),
        issuer_lifetime: Duration::from_secs(36_000),
    };
    Authority::in_folder(settings, TempDir::new().unwrap().path()).unwrap()
}

/// Namespaces that ask for sidecars.
fn labelled(count: usize) -> String {
    let metadata = |at| format!("{{name: team-{at}, labels: {{weft.dev/inject: enabled}}}}");
    let one = |at| format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {}\n", metadata(at));
    (0..count).map(one).collect()
}

fn patches(server: &ApiServer) -> usize {
    server.requests().iter().filter(|one| one.starts_with("PATCH")).count()
}

/// What has become of the bundle a minute later.
async fn spread(server: &ApiServer) -> Spread {
    let (authority, stop) = (authority(), CancellationToken::new());
    let (_meshed, meshed) = watch::channel(Some(Arc::default()));
    let (_lease, leads) = watch::channel(true);
    let (bootstrap, spread) = Bootstrap::new(server.client(), authority.trust(), meshed);
    TaskTracker::new().spawn(bootstrap.run(leads, stop.clone()));
    sleep(Duration::from_secs(60)).await;
    let spread = spread.borrow().clone();
    stop.cancel();
    assert_eq!(spread.version, Some(authority.bundle().version()));
    spread
}

#[tokio::test(start_paused = true)]
async fn a_bundle_is_written_to_each_namespace_once() {
    let server = ApiServer::with(&labelled(50));
    assert_eq!(spread(&server).await.failed, BTreeSet::new());
    assert_eq!(patches(&server), 50);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_takes_no_bundle_is_named() {
    let server = ApiServer::with(&labelled(3));
    server.forbid("PATCH /api/v1/namespaces/team-1/");
    assert_eq!(spread(&server).await.failed, BTreeSet::from(["team-1".into()]));
    assert!(server.object("/api/v1/configmaps", "team-2", NAME).is_some(), "the others have it");
}
