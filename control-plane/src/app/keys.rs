//! Builds what has to do with keys: from a state folder, or from a cluster's Secrets and service-account tokens.

use std::sync::Arc;

use tokio::sync::watch;
use weft_certs::SpiffeId;

use super::StartError;
use crate::{
    cluster::Cluster,
    config::Config,
    identity::{
        Authority, AuthoritySettings, Bootstrap, Follower, KnownPods, Proofs, Secrets, ServiceAccounts, StatusMap,
        maintain,
    },
    rotation::{Mesh, Rotation},
    serve::{Hub, pass_trust_on},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// The certificate authority.
pub(super) async fn authority(config: &Config, cluster: Option<&Cluster>) -> Result<Arc<Authority>, StartError> {
    let settings = AuthoritySettings {
        identity: SpiffeId::control_plane(&config.trust_domain, &config.namespace)?,
        leaf_lifetime: config.leaf_lifetime,
        issuer_lifetime: config.issuer_lifetime,
    };
    let authority = match cluster {
        Some(cluster) => Authority::in_secrets(settings, secrets(config, cluster)).await?,
        // Where there is no cluster there is a folder: `Config` does not come about without.
        None => Authority::in_folder(settings, &config.state_folder.clone().unwrap_or_default())?,
    };
    Ok(Arc::new(authority))
}

/// The proofs of identity that are taken.
pub(super) fn proofs(config: &Config, cluster: Option<&Cluster>, hub: &Arc<Hub>, metrics: &Arc<Metrics>) -> Proofs {
    let Some(cluster) = cluster else { return Proofs::JoinTokens(config.state_folder.clone().unwrap_or_default()) };
    let (names, places, rate) = (hub.clone(), hub.clone(), config.token_reviews_per_second);
    let known = KnownPods {
        by_name: Box::new(move |pod| names.known_pod(pod)),
        is_at: Box::new(move |address, identity| places.has_proxy_at(address, identity)),
    };
    let accounts = ServiceAccounts::new(&cluster.client, &config.trust_domain, rate, known, metrics.clone());
    Proofs::ServiceAccounts(Box::new(accounts))
}

/// What keys are kept fresh for, and with.
pub(super) struct Keeper<'a> {
    pub(super) config: &'a Config,
    pub(super) cluster: Option<&'a Cluster>,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) shutdown: &'a Shutdown,
}

/// Keeps keys and bundles fresh, everywhere that they are.
pub(super) fn keep(authority: &Arc<Authority>, keeper: &Keeper<'_>) {
    let Keeper { config, cluster, hub, metrics, shutdown } = *keeper;
    let stop = || shutdown.drain_token();
    shutdown.spawn("trust", pass_trust_on(hub.clone(), authority.trust(), stop()));
    // A folder has one user, who does not have to be elected.
    let leads = cluster.map_or_else(|| watch::channel(true).1, |cluster| cluster.holds_lease.clone());
    shutdown.spawn("authority", maintain(authority.clone(), leads.clone(), metrics.clone(), stop()));
    let Some(cluster) = cluster else { return };
    let (follower, stored) = Follower::new(authority.clone(), secrets(config, cluster));
    shutdown.spawn("secrets", follower.run(stop()));
    let client = &cluster.client;
    let (bootstrap, spread) = Bootstrap::new(client.clone(), authority.trust(), hub.meshed_namespaces());
    shutdown.spawn("bootstrap", bootstrap.run(leads.clone(), stop()));
    let rotation = Rotation {
        authority: authority.clone(),
        secrets: secrets(config, cluster),
        stored,
        spread,
        status: StatusMap::new(client.clone(), &config.namespace),
        mesh: mesh(config, hub),
        metrics: metrics.clone(),
    };
    let hub = hub.clone();
    shutdown.spawn("rotation", rotation.run(async move { hub.synced().await }, leads, stop()));
}

fn secrets(config: &Config, cluster: &Cluster) -> Secrets {
    Secrets::new(cluster.client.clone(), &config.namespace)
}

fn mesh(config: &Config, hub: &Arc<Hub>) -> Mesh {
    let (live, reports, replicas, namespace) = (hub.clone(), hub.clone(), hub.clone(), config.namespace.clone());
    Mesh {
        live: Box::new(move || live.meshed_pods()),
        reports: Box::new(move || reports.reports()),
        replicas: Box::new(move || replicas.replicas(&namespace)),
    }
}
