//! A worker: one thread with one runtime, its connections, and what it shares with the others.
//!
//! Within a worker nothing is Send and nothing is locked. What several threads read is in [`Shared`].

use std::{cell::RefCell, rc::Rc, sync::Arc};

use tokio::time::Instant;
use weft_certs::SpiffeId;

use crate::{
    access::{Access, Caller},
    balance::{Endpoint, Lease, PickError},
    config::Config,
    discover::Directory,
    endpoint::{Dial, Links},
    error::Reason,
    hash::QuickMap,
    http::Limits as HttpLimits,
    identity::IdentityStore,
    limit::{Handshakes, InFlight, PeerCap},
    local::Local,
    mesh::{self, Open, Stream},
    origin::{AppTarget, Origin},
    policy::{Backend, PortPolicy},
    route::Rule,
    server::{Counted, Record, Servers},
    shutdown::Drain,
    socket::Liveness,
    tcp::Silence,
    telemetry::{
        DestinationSeries, Direction, HttpLabels, HttpSeries, Metrics, Observers, PickOutcome, Protocol, Shares,
        TcpLabels,
    },
    timers::Timers,
};

/// Handles that a worker keeps looked up, at most; then it starts anew.
const MOST_HANDLES: usize = 4096;

/// What all workers share: settings, snapshots that the control thread makes, and counters.
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// Where addresses lead, and who may call us.
    pub directory: Arc<Directory>,
    /// Who we are.
    pub identity: Arc<IdentityStore>,
    /// Every figure.
    pub metrics: Arc<Metrics>,
    /// Who wants to know of each request.
    pub observers: Observers,
    /// Requests of the app beside us, between head and end.
    pub in_flight: InFlight,
    /// Requests to the app beside us.
    pub inbound_in_flight: InFlight,
    /// TLS handshakes of peers.
    pub handshakes: Handshakes,
    /// Connections of peers, by peer.
    pub peers: Arc<PeerCap>,
    /// Connections of clients outside of the mesh, by address.
    pub outside: Arc<PeerCap>,
    /// Whether we are going away.
    pub drain: Drain,
}

/// What the tasks of one thread share.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Time limits.
    pub timers: Rc<Timers>,
    /// What a head may be.
    pub limits: HttpLimits,
    /// Connections to the proxies of endpoints.
    pub links: Links,
    /// Connections to servers.
    pub servers: Servers,
    /// Where requests' time goes.
    pub shares: Arc<Shares>,
    /// The way to endpoints that are not meshed.
    direct: Local,
    /// The way of clients outside of the mesh to the app.
    to_app: Local,
    series: RefCell<QuickMap<SeriesKey, Arc<HttpSeries>>>,
    inbound: RefCell<QuickMap<InboundKey, Arc<HttpSeries>>>,
    destinations: RefCell<QuickMap<String, QuickMap<String, Arc<DestinationSeries>>>>,
}

/// A rule's id (0: none), an endpoint's id, and whether the client speaks HTTP/2.
type SeriesKey = (u64, u64, bool);

/// A client (none: outside of the mesh), the app's port, and whether the client speaks HTTP/2.
type InboundKey = (Option<SpiffeId>, u16, bool);

impl Worker {
    /// A worker without connections. Its tasks are spawned on the current thread's `LocalSet`.
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        let configured = &shared.config.limits;
        let limits =
            HttpLimits { head_bytes: configured.head_bytes, fields: configured.head_fields, ..HttpLimits::default() };
        Rc::new_cyclic(|this| Self {
            timers: Timers::new(),
            limits,
            links: Links::default(),
            servers: Servers::default(),
            direct: Local::new(this.clone(), Local::deliver_directly),
            to_app: Local::new(this.clone(), Local::admit_to_app),
            series: RefCell::default(),
            inbound: RefCell::default(),
            destinations: RefCell::default(),
            shares: shared.metrics.shares(),
            shared,
        })
    }

    /// Lets go of the handles to series: those that are used are looked up anew, the others may make room.
    pub fn forget_handles(&self) {
        self.series.borrow_mut().clear();
        self.inbound.borrow_mut().clear();
        self.destinations.borrow_mut().clear();
    }

    /// How long opaque connections may be silent.
    pub fn silence(&self) -> Silence {
        let timeouts = &self.shared.config.timeouts;
        Silence { idle: timeouts.tcp_idle, half_closed: timeouts.half_close }
    }

    /// How this worker dials what is not on this machine.
    pub fn dial(&self) -> Dial {
        let config = &self.shared.config;
        let (keepalive, user_timeout) = (config.timeouts.keepalive, config.timeouts.user_timeout);
        Dial { mark: config.interception.mark, liveness: Some(Liveness { keepalive, user_timeout }) }
    }

    /// The handle that counts a destination's picks and retries.
    pub fn destination(&self, origin: &Origin) -> Option<Arc<DestinationSeries>> {
        let (namespace, service) = match origin {
            Origin::Service(_) | Origin::Pod(_) => origin.service(),
            Origin::App(_) | Origin::Nowhere(_) => return None,
        };
        let mut known = self.destinations.borrow_mut();
        if let Some(series) = known.get(namespace).and_then(|services| services.get(service)) {
            return Some(series.clone());
        }
        let series = self.shared.metrics.destination(namespace, service);
        known.entry(namespace.to_owned()).or_default().insert(service.to_owned(), series.clone());
        Some(series)
    }

    /// The handle that counts requests, or the connection, of a client to a port of the app.
    pub fn inbound_series(
        &self,
        policy: &PortPolicy,
        client: Option<&SpiffeId>,
        (port, protocol): (u16, mesh::Protocol),
    ) -> Arc<HttpSeries> {
        let http2 = protocol == mesh::Protocol::Http2;
        let mut known = self.inbound.borrow_mut();
        if known.len() > MOST_HANDLES {
            known.clear();
        }
        known
            .entry((client.cloned(), port, http2))
            .or_insert_with(|| {
                let (namespace, service) = labels(policy, &self.shared.config);
                self.shared.metrics.http(HttpLabels {
                    direction: Direction::Inbound,
                    namespace,
                    service,
                    route: "",
                    protocol: if http2 { Protocol::Http2 } else { Protocol::Http1 },
                    mtls: client.is_some(),
                    peer: client.map(SpiffeId::as_str),
                })
            })
            .clone()
    }

    /// What counts a stream that is admitted to the app.
    pub fn counted(
        &self,
        policy: &PortPolicy,
        client: Option<&SpiffeId>,
        (port, protocol): (u16, mesh::Protocol),
    ) -> Counted {
        match protocol {
            mesh::Protocol::Http1 | mesh::Protocol::Http2 => {
                Counted::Request(Record::new(self.inbound_series(policy, client, (port, protocol))))
            }
            mesh::Protocol::Opaque | mesh::Protocol::Undecided => {
                let (namespace, service) = labels(policy, &self.shared.config);
                let mtls = client.is_some();
                let labels = TcpLabels { direction: Direction::Inbound, namespace, service, mtls };
                Counted::Connection(self.shared.metrics.tcp(labels).opened())
            }
        }
    }

    /// Chooses an endpoint; waits for one if there is none, at most `WEFT_QUEUE_WAIT`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn pick(
        &self,
        backend: &Backend,
        tried: &[u64],
        series: Option<&DestinationSeries>,
    ) -> Result<Lease, Reason> {
        let picked = match backend.balancer.pick(tried) {
            Ok(lease) => Ok(lease),
            Err(_) => {
                let wait = self.shared.config.timeouts.queue;
                backend.balancer.pick_by(tried, Instant::now() + wait).await
            }
        };
        if let Some(series) = series {
            series.pick(match picked {
                Ok(_) => PickOutcome::Picked,
                Err(PickError::Unanswered | PickError::Empty) => PickOutcome::Empty,
                Err(PickError::AllEjected) => PickOutcome::AllEjected,
                Err(PickError::QueueFull) => PickOutcome::QueueFull,
            });
        }
        picked.map_err(PickError::reason)
    }

    /// Opens a stream to the endpoint that was chosen: over the mesh if it has an identity, otherwise to be delivered from
    /// here.
    ///
    /// # Errors
    /// Why there is no stream.
    pub fn open_to_endpoint(self: &Rc<Self>, lease: &mut Lease, mut open: Open) -> Result<Stream, Reason> {
        let endpoint = lease.endpoint();
        open.target = Some(endpoint.addr.0.ip());
        open.target_port = endpoint.addr.0.port();
        let meshed = endpoint.identity.is_some();
        let stream = if meshed { self.links.open(self, endpoint, &open)? } else { self.direct.open(&open)? };
        if stream.waits_for_link() {
            lease.unmeasured();
        }
        Ok(stream)
    }

    /// Opens a stream to the app, for a client outside of the mesh.
    ///
    /// # Errors
    /// Why there is no stream.
    pub fn open_to_app(&self, app: &AppTarget, mut open: Open) -> Result<Stream, Reason> {
        open.target = Some(app.address.ip());
        open.target_port = app.address.port();
        self.to_app.open(&open)
    }

    /// The handle that counts requests of a rule to an endpoint.
    pub fn series(
        &self,
        origin: &Origin,
        rule: Option<&Rule>,
        endpoint: &Endpoint,
        protocol: mesh::Protocol,
    ) -> Arc<HttpSeries> {
        let http2 = protocol == mesh::Protocol::Http2;
        let key = (rule.map_or(0, |rule| rule.id), endpoint.id, http2);
        let mut series = self.series.borrow_mut();
        if series.len() > MOST_HANDLES {
            series.clear();
        }
        series
            .entry(key)
            .or_insert_with(|| {
                let (namespace, service) = origin.service();
                let peer = endpoint.identity.as_ref().map(ToString::to_string);
                self.shared.metrics.http(HttpLabels {
                    direction: origin.direction(),
                    namespace,
                    service,
                    route: rule.map_or("", |rule| &rule.name),
                    protocol: if http2 { Protocol::Http2 } else { Protocol::Http1 },
                    mtls: peer.is_some(),
                    peer: peer.as_deref(),
                })
            })
            .clone()
    }

    /// The handle that counts connections of an origin.
    pub fn tcp_series(&self, origin: &Origin, mtls: bool) -> Arc<crate::telemetry::TcpSeries> {
        let (namespace, service) = origin.service();
        self.shared.metrics.tcp(TcpLabels { direction: origin.direction(), namespace, service, mtls })
    }

    /// Begins a line of the access log, if they are wanted.
    pub fn access(&self, origin: &Origin, caller: Caller, protocol: mesh::Protocol) -> Access {
        Access::new(&self.shared.observers, (origin.direction(), caller), origin.service(), protocol)
    }

    /// The same, for a stream to the app.
    pub fn inbound_access(&self, policy: &PortPolicy, caller: Caller, protocol: mesh::Protocol) -> Access {
        let service = labels(policy, &self.shared.config);
        Access::new(&self.shared.observers, (Direction::Inbound, caller), service, protocol)
    }

    /// Counts a failure of the mesh's own.
    pub fn count_error(&self, origin: &Origin, reason: Reason) {
        self.shared.metrics.error(origin.direction(), reason);
    }

    /// What a link of this worker allows; `expires` is when the leaf behind it ends.
    pub fn link_limits(&self, expires: Instant) -> mesh::Limits {
        let (timeouts, limits) = (&self.shared.config.timeouts, &self.shared.config.limits);
        mesh::Limits {
            streams: limits.streams,
            handshake: timeouts.handshake,
            idle: timeouts.mesh_idle,
            drain: timeouts.drain,
            expires: Some(expires),
            ..mesh::Limits::default()
        }
    }
}

/// Namespace and name of the Service that leads to a port; without one, only the pod's namespace.
fn labels<'a>(policy: &'a PortPolicy, config: &'a Config) -> (&'a str, &'a str) {
    match &policy.service {
        Some(service) => (&service.namespace, &service.name),
        None => (&config.pod.namespace, ""),
    }
}
