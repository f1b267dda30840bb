use std::collections::BTreeSet;

use tempfile::TempDir;
use tokio::time::timeout;
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

#[tokio::test(start_paused = true)]
async fn a_bundle_is_written_to_each_namespace_once() {
    let (server, authority, stop) = (ApiServer::with(&labelled(50)), authority(), CancellationToken::new());
    let (_meshed, meshed) = watch::channel(Some(Arc::new(BTreeSet::new())));
    let (bootstrap, mut spread) = Bootstrap::new(server.client(), authority.trust(), meshed);
    let (_lease, leads) = watch::channel(true);
    TaskTracker::new().spawn(bootstrap.run(leads, stop.clone()));
    let everywhere = spread.wait_for(|version| *version == Some(authority.bundle().version()));
    timeout(Duration::from_secs(60), everywhere).await.unwrap().unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(patches(&server), 50);
    stop.cancel();
}
