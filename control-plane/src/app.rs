//! Builds every part once, in order, and runs it until the end.

mod keys;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch};
use tracing::info;

use keys::Keeper;

use crate::{
    admin::Admin,
    cluster::Cluster,
    config::{Config, RegistryKind},
    identity::AuthorityError,
    inject::{self, InjectSettings},
    registry::{
        Condition, Event, Registry,
        file::FileRegistry,
        kubernetes::{ConnectError, KubernetesRegistry},
    },
    resolve::Mesh,
    serve::{Feed, Hub, HubSettings, Listener, ListenerSettings, ServiceSettings, Services},
    shutdown::{Shutdown, TaskFailed},
    status::StatusWriter,
    tap,
    telemetry::Metrics,
};

/// A control plane that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The trust domain or the namespace makes no identity.
    #[error("WEFT_TRUST_DOMAIN and WEFT_CONTROL_PLANE_NAMESPACE make no identity")]
    Identity(#[from] weft_certs::SpiffeIdError),
    /// The certificate authority cannot be had.
    #[error("there is no certificate authority")]
    Authority(#[from] AuthorityError),
    /// There is no cluster to read.
    #[error("WEFT_REGISTRY=kubernetes, and there is no way to a cluster")]
    Cluster(#[from] ConnectError),
    /// The metrics are wrong among themselves.
    #[error("the metrics cannot be set up")]
    Metrics(#[source] PrometheusError),
    /// A port is not to be had.
    #[error("{address} cannot be listened on")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

/// The metrics library's word.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PrometheusError(#[from] prometheus::Error);

/// A control plane that runs.
pub struct App {
    shutdown: Shutdown,
    drain_deadline: Duration,
    address: SocketAddr,
    admin_address: SocketAddr,
}

impl App {
    /// Starts every part. Proxies are served once the registry has been read.
    ///
    /// # Errors
    /// A part cannot start; whatever has started ends with the runtime.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let shutdown = Shutdown::default();
        let metrics = Arc::new(Metrics::new().map_err(|error| StartError::Metrics(error.into()))?);
        let cluster = match config.registry {
            RegistryKind::File => None,
            RegistryKind::Kubernetes => Some(Cluster::join(&config, &metrics, &shutdown).await?),
        };
        let cluster = cluster.as_ref();
        let authority = keys::authority(&config, cluster).await?;
        let mesh = Mesh { trust_domain: config.trust_domain.clone(), ranges: config.cluster_ranges.clone() };
        let (trust, max_subscriptions) = (authority.trust().borrow().clone(), config.max_subscriptions);
        let hub = Hub::new(HubSettings { mesh, trust, max_subscriptions }, metrics.clone());
        let listener = bind(config.listen).await?;
        let admin_listener = bind(config.admin_listen).await?;
        let app = Self {
            shutdown: shutdown.clone(),
            drain_deadline: config.drain_deadline,
            address: local(&listener, config.listen)?,
            admin_address: local(&admin_listener, config.admin_listen)?,
        };

        let injector = start_injector(&config, cluster, &metrics, &shutdown).await?;
        let condition = read_registry(&config, cluster, &hub, &metrics, &shutdown);
        shutdown.spawn("condition", show_condition(condition.clone(), metrics.clone(), shutdown.clone()));
        let keeper = Keeper { config: &config, cluster, hub: &hub, metrics: &metrics, shutdown: &shutdown };
        keys::keep(&authority, &keeper);
        let settings = ServiceSettings {
            admitted_per_second: config.streams_per_second,
            admission_wait: config.stream_wait,
            certificates_per_peer: config.certificates_per_peer,
        };
        let proofs = keys::proofs(&config, cluster, &hub, &metrics);
        if let (Some(cluster), Some(injector)) = (cluster, &injector) {
            let tap = (config.trust_domain.as_str(), shutdown.clone());
            let tap = tap::Api::new(cluster.client.clone(), hub.clone(), authority.clone(), tap);
            tap.start(bind(config.tap_listen).await?, injector.serving());
        }
        let services = Services::new(hub.clone(), authority.clone(), proofs, settings, shutdown.clone());
        let connections = ListenerSettings {
            max_connections: config.max_connections,
            connections_per_peer: config.max_connections_per_peer,
            max_handshakes: config.max_handshakes,
        };
        let listener = Listener::new(listener, services, connections);
        shutdown.spawn("listener", async move {
            listener.run().await;
            Ok::<_, io::Error>(())
        });
        let admin = Admin { hub, authority, metrics, condition, injector };
        shutdown.spawn("admin", admin.serve(admin_listener, shutdown.clone()));
        info!(listen = %app.address, admin = %app.admin_address, registry = ?config.registry, "started");
        Ok(app)
    }

    /// Where proxies are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The process's end, to begin it.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Runs until the end has been asked for and has come.
    ///
    /// # Errors
    /// A part has ended before its time.
    pub async fn run(self) -> Result<(), TaskFailed> {
        self.shutdown.finished(self.drain_deadline).await
    }
}

/// Only a cluster asks about pods.
async fn start_injector(
    config: &Config,
    cluster: Option<&Cluster>,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> Result<Option<inject::Readiness>, StartError> {
    let Some(cluster) = cluster else { return Ok(None) };
    let settings = InjectSettings {
        proxy_image: config.proxy_image.clone(),
        control_plane_namespace: config.namespace.clone(),
        trust_domain: config.trust_domain.clone(),
    };
    let listener = bind(config.inject_listen).await?;
    Ok(Some(inject::start(cluster.client.clone(), listener, settings, metrics.clone(), shutdown)))
}

/// IPv4 alone where there is no IPv6.
async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = match TcpListener::bind(address).await {
        Err(error) if error.raw_os_error() == Some(EAFNOSUPPORT) && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.map_err(|source| StartError::Bind { address, source })
}

const EAFNOSUPPORT: i32 = 97;

fn local(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Bind { address, source })
}

/// Begins to read the registry into the hub, and says where it tells of what is wrong.
fn read_registry(
    config: &Config,
    cluster: Option<&Cluster>,
    hub: &Arc<Hub>,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> watch::Receiver<Arc<Condition>> {
    let (changes, stop) = (feed(hub.clone(), shutdown), shutdown.drain_token());
    if let Some(cluster) = cluster {
        let (registry, condition) = KubernetesRegistry::new(cluster.client.clone(), metrics.clone());
        shutdown.spawn_apart("registry", registry.run(changes, stop.clone()));
        let status = StatusWriter::new(cluster.clone(), hub.clone(), metrics.clone());
        shutdown.spawn("status", status.run(stop));
        return condition;
    }
    // Where there is no cluster there is a folder: `Config` does not come about without.
    let folder = config.registry_folder.clone().unwrap_or_default();
    let (registry, condition) = FileRegistry::new(folder);
    shutdown.spawn_apart("registry", registry.run(changes, stop));
    condition
}

/// What is called with a registry's changes.
fn feed(hub: Arc<Hub>, shutdown: &Shutdown) -> impl FnMut(Vec<Event>) + Send + 'static {
    let feed = Arc::new(Feed::default());
    shutdown.spawn("feed", feed.clone().run(hub, shutdown.drain_token()));
    move |events| feed.put(events)
}

async fn show_condition(
    mut condition: watch::Receiver<Arc<Condition>>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) -> Result<(), watch::error::RecvError> {
    loop {
        let now = condition.borrow_and_update().clone();
        metrics.condition(&now);
        tokio::select! {
            biased;
            () = shutdown.draining() => return Ok(()),
            changed = condition.changed() => changed?,
        }
    }
}
