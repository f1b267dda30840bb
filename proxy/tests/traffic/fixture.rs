//! A worker of a proxy in this process, and clients on both of its sides.

use std::{
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
    time::{Instant, sleep, timeout},
};
use weft_api::{AppProtocol, InboundPort, InboundRule, InboundView};
use weft_certs::{CertificateRequest, Issuer, KeyPair, Leaf, MeshTls, Root, SpiffeId, TrustBundle, Validity};
use weft_proxy::{
    access::Caller,
    address::{ClientAddr, EndpointAddr, OrigDst},
    balance::{self, EndpointSpec},
    client,
    config::Config,
    discover::{self, Picture},
    identity::IdentityStore,
    inbound,
    limit::{Handshakes, InFlight, PeerCap},
    mesh::{self, Link},
    origin::{AppTarget, Origin},
    policy::{Backend, PodTarget, PortPolicy},
    retry::{Budget, BudgetSettings},
    shutdown::Drain,
    telemetry::{AccessLog, Metrics, Observers, Taps, Traces},
    timers::Timers,
    worker::{Shared, Worker},
};

/// What the app is told of the mesh peer.
pub const IDENTITY_LINE: &str = "weft-client-identity: spiffe://mesh.local/ns/shop/sa/orders";
/// Long enough for a busy machine; a case that fails does not take as long, one that hangs does.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Each may take long to be told from one that is only slow.
const MOST_FAILURES: usize = 20;

/// Whose client it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The app beside the proxy calls an endpoint.
    Outbound,
    /// A client outside of the mesh calls the app beside the proxy.
    Inbound,
}

/// A worker, its tasks on this thread.
pub struct Proxy {
    pub worker: Rc<Worker>,
}

/// Runs a test whose tasks stay on this thread.
pub fn run(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test());
}

/// Gives every case to `one`, as a task of its own: one that fails does not hide the others.
pub async fn each<T, F>(cases: impl Iterator<Item = &'static T>, name: fn(&T) -> &str, one: impl Fn(&'static T) -> F)
where
    T: 'static,
    F: Future<Output = ()> + 'static,
{
    let (mut failed, mut count) = (Vec::new(), 0);
    for case in cases {
        count += 1;
        if !matches!(timeout(PATIENCE, spawn_local(one(case))).await, Ok(Ok(()))) {
            failed.push(name(case));
        }
        if failed.len() == MOST_FAILURES {
            break;
        }
    }
    assert!(failed.is_empty() && count > 0, "{failed:?}");
}

/// Waits until it is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

impl Proxy {
    /// A worker without a control plane. A head may take a second.
    pub fn new() -> Self {
        let config = config();
        let metrics = Metrics::new(1000);
        let directory = Picture::new(discover::Settings::default()).directory();
        directory.inbound().update(InboundView::default());
        let shared = Shared {
            in_flight: InFlight::new(config.limits.in_flight),
            inbound_in_flight: InFlight::new(config.limits.in_flight),
            handshakes: Handshakes::new(config.limits.handshakes),
            peers: PeerCap::new(config.limits.peer_connections),
            outside: PeerCap::new(config.limits.client_connections),
            drain: Drain::default(),
            identity: IdentityStore::new(&config, &metrics).unwrap(),
            observers: Observers { access_log: AccessLog::off(), taps: Taps::default(), traces: Traces::default() },
            directory,
            metrics,
            config,
        };
        let worker = Worker::new(Arc::new(shared));
        spawn_local(Timers::drive(worker.timers.clone()));
        Self { worker }
    }

    /// From now on the port is declared to speak HTTP/1.1.
    pub fn declare_http1(&self, port: u16) {
        let port = InboundPort { port, protocol: AppProtocol::Http1, service: None, rule: InboundRule::default() };
        let view = InboundView { ports: vec![port], ..InboundView::default() };
        self.worker.shared.directory.inbound().update(view);
    }

    /// A client's connection that the proxy serves, to an app that speaks this.
    pub async fn client(&self, side: Side, app: SocketAddr, protocol: AppProtocol) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, address) = listener.accept().await.unwrap();
        let (worker, origin) = (self.worker.clone(), origin(side, app, protocol));
        let caller = Caller { client: ClientAddr(address), orig_dst: OrigDst(app) };
        spawn_local(async move { client::serve(&worker, (&origin, caller), far).await });
        near
    }

    /// A mesh port: the streams of whoever connects, with a certificate of the mesh, are admitted to the app.
    pub async fn mesh_port(&self, tls: &MeshTls) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (worker, config) = (self.worker.clone(), tls.server());
        spawn_local(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                let link = Link::server(config.clone(), mesh::Limits::default());
                let worker = worker.clone();
                spawn_local(link.run_server(io, move |incoming| {
                    let app = SocketAddr::new(address.ip(), incoming.open.target_port);
                    inbound::admit(&worker, incoming, app, None);
                }));
            }
        });
        address
    }
}

fn config() -> Config {
    let set = HashMap::from([
        ("WEFT_POD_NAMESPACE", "shop"),
        ("WEFT_POD_NAME", "users-1"),
        ("WEFT_POD_ADDRESSES", "127.0.0.1"),
        ("WEFT_CONTROL_PLANE_ADDRESS", "127.0.0.1:1"),
        ("WEFT_JOIN_TOKEN_FILE", "/nonexistent"),
        ("WEFT_HEAD_DEADLINE", "1s"),
    ]);
    Config::read(|name| set.get(name).map(|value| (*value).to_owned())).unwrap()
}

fn origin(side: Side, address: SocketAddr, protocol: AppProtocol) -> Origin {
    match side {
        Side::Inbound => {
            Origin::App(AppTarget { address, policy: Arc::new(PortPolicy { protocol, ..PortPolicy::default() }) })
        }
        Side::Outbound => {
            let backend = Backend::new("shop/users:80".parse().unwrap(), protocol, balance::Settings::default());
            backend.balancer.update(vec![endpoint(address)]);
            let (namespace, pod) = ("shop".into(), "users-1".into());
            let budget = Budget::new(BudgetSettings::default());
            Origin::Pod(Arc::new(PodTarget { backend: Arc::new(backend), budget, namespace, pod, service: None }))
        }
    }
}

/// An endpoint that is not meshed: it is called from here, over the same frames without TLS.
fn endpoint(address: SocketAddr) -> EndpointSpec {
    EndpointSpec {
        addr: EndpointAddr(address),
        identity: None,
        weight: 1,
        zone: "".into(),
        node: "".into(),
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
        terminating: false,
        far: false,
        node_local: false,
        pod: "shop/users-1".into(),
    }
}

/// The authority of a mesh.
pub struct Mesh {
    issuer: Issuer,
    bundle: TrustBundle,
}

impl Mesh {
    pub fn new() -> Self {
        let root = Root::generate(for_an_hour()).unwrap();
        let issuer = Issuer::generate(&root, for_an_hour()).unwrap();
        let bundle = TrustBundle::new([root.certificate().clone()]).unwrap();
        Self { issuer, bundle }
    }

    /// What a service account's proxies hold.
    pub fn tls(&self, service_account: &str) -> MeshTls {
        let (key, id) = (KeyPair::generate().unwrap(), id(service_account));
        let request = CertificateRequest::new(&key, &id).unwrap();
        let chain = self.issuer.issue(request.der(), &id, for_an_hour()).unwrap();
        MeshTls::new(&Leaf::new(chain, key).unwrap(), &self.bundle).unwrap()
    }
}

pub fn id(service_account: &str) -> SpiffeId {
    SpiffeId::new("mesh.local", "shop", service_account).unwrap()
}

fn for_an_hour() -> Validity {
    Validity::lasting(SystemTime::now(), Duration::from_secs(3600))
}
