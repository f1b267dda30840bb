//! Builds every part once, in order, and runs them until the proxy ends.
//!
//! The control runtime is the calling thread: certificates, discovery, admin and logs. Each worker is a thread with a
//! runtime of its own that carries traffic.

use std::{convert::Infallible, io, net::TcpListener, num::NonZeroUsize, sync::Arc, thread};

use serde_json::json;
use tokio::{
    runtime::Builder,
    sync::watch,
    task::{LocalSet, spawn_local},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weft_api::pb;

use crate::{
    admin::{self, Admin, AdminError, Condition, Readiness},
    balance::{self, BreakerSettings, Endpoint, LoadSettings, Locality, QueueLimit},
    config::Config,
    discover::{self, Gauges, Picture, Watch, WatchSettings},
    error::chain,
    identity::{self, IdentityStore},
    inbound,
    limit::{Handshakes, InFlight, PeerCap, Slots},
    listen::{self, Acceptor, BindError, Connection, Inbox, Listening, Loads, Member},
    outbound,
    policy::Backend,
    probe::Probes,
    retry::BudgetSettings,
    shutdown::{Ending, Shutdown},
    socket::Liveness,
    tap::TapPort,
    telemetry::{AccessLog, HANDLES_KEPT, LogControl, Metrics, Observers, SpanOutcome, Taps, Traces},
    trace::Exporter,
    worker::{Shared, Worker},
};

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The ports of traffic.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What the workload is called is no SPIFFE identity.
    #[error("the pod's identity is invalid: check WEFT_TRUST_DOMAIN, WEFT_POD_NAMESPACE and WEFT_POD_SERVICE_ACCOUNT")]
    Identity(#[from] weft_certs::SpiffeIdError),
    /// Threads, signals or a runtime.
    #[error("the system refused a thread, a signal handler or a runtime")]
    System(#[from] io::Error),
}

/// Runs the proxy until it ends.
///
/// # Errors
/// It cannot start.
pub fn run(config: Config, log: LogControl) -> Result<Ending, AppError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(control(config, log))
}

async fn control(config: Config, log: LogControl) -> Result<Ending, AppError> {
    let shutdown = Shutdown::new(config.timeouts.drain);
    shutdown.watch_signals()?;
    let metrics = Metrics::new(config.observing.series_limit);
    let observers = Observers {
        access_log: start_access_log(&config, &metrics, &shutdown),
        taps: Taps::default(),
        traces: start_traces(&config, &metrics, &shutdown),
    };
    let readiness = Readiness::default();
    let identity = IdentityStore::new(&config, &metrics)?;
    let picture = Picture::new(discovery_settings(&config)).at(locality(&config));
    let directory = picture.directory();
    let workers = config.workers.count();
    let sockets = bind(&config, workers)?;
    let admin_sockets = admin::bind(&config.ports.admin_addresses, config.ports.admin)?;
    let shared = Arc::new(Shared {
        in_flight: InFlight::new(config.limits.in_flight),
        inbound_in_flight: InFlight::new(config.limits.in_flight),
        handshakes: Handshakes::new(config.limits.handshakes),
        peers: PeerCap::new(config.limits.peer_connections),
        outside: PeerCap::new(config.limits.client_connections),
        drain: shutdown.handle(),
        directory: directory.clone(),
        identity: identity.clone(),
        metrics: metrics.clone(),
        observers,
        config,
    });
    let threads = start_workers(&shared, workers, sockets)?;
    let beliefs = beliefs(shared.clone());
    let probes = Probes::new(&shared.config.pod.probes, &shared.config.pod.addresses);
    let admin = Admin { metrics, readiness: readiness.clone(), log, probes, beliefs, shutdown: shutdown.clone() };
    admin::start(admin, admin_sockets);
    start_tap(&shared, &shutdown)?;
    let certified = readiness.condition("certificate", "no certificate yet");
    shutdown.spawn("identity", |stop| identity::run(shared.identity.clone(), certified, stop));
    start_discovery(
        &shared,
        picture,
        readiness.condition("discovery", "the control plane has not answered yet"),
        &shutdown,
    );
    info!(workers, version = env!("CARGO_PKG_VERSION"), "started");
    let ending = shutdown.run().await;
    for thread in threads {
        if thread.join().is_err() {
            warn!("a worker ended by a panic");
        }
    }
    Ok(ending)
}

fn discovery_settings(config: &Config) -> discover::Settings {
    let (balancing, limits) = (&config.balancing, &config.limits);
    let breaker = BreakerSettings {
        failures: u32::try_from(balancing.breaker_failures).unwrap_or(u32::MAX),
        penalty: balancing.breaker_penalty_least,
        longest_penalty: balancing.breaker_penalty_most,
        jitter: balancing.breaker_jitter,
        success_rate: balancing.breaker_success_rate,
        window: balancing.breaker_window,
        answers: u32::try_from(balancing.breaker_answers).unwrap_or(u32::MAX),
    };
    discover::Settings {
        balance: balance::Settings {
            load: LoadSettings { default_rtt: balancing.ewma_rtt, decay: balancing.ewma_decay },
            breaker,
            queue: QueueLimit(limits.queue),
            slow_start: balancing.slow_start.unwrap_or_default(),
        },
        budget: BudgetSettings {
            ratio: balancing.retry_ratio,
            floor: balancing.retry_floor,
            ..BudgetSettings::default()
        },
        foreign_allowed: config.interception.foreign_allowed,
        idle: config.timeouts.discovery_idle,
        capacity: limits.destinations,
    }
}

fn locality(config: &Config) -> Locality {
    let known = |name: &Option<String>| name.as_deref().unwrap_or_default().into();
    Locality { node: known(&config.pod.node), zone: known(&config.pod.zone) }
}

/// Discovery, and what is handed between it and identity: the trust bundle one way, what is in use the other.
fn start_discovery(shared: &Arc<Shared>, picture: Picture, condition: Condition, shutdown: &Shutdown) {
    let pod = &shared.config.pod;
    let workload = pb::Workload {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        service_account: pod.service_account.clone(),
        addresses: pod.addresses.iter().map(ToString::to_string).collect(),
        zone: pod.zone.clone().unwrap_or_default(),
        node: pod.node.clone().unwrap_or_default(),
    };
    let gauges = Gauges::new(shared.directory.clone());
    let metrics = Arc::downgrade(&shared.metrics);
    shared.metrics.before_scrape(move || {
        if let Some(metrics) = metrics.upgrade() {
            gauges.refresh(&metrics);
        }
    });
    let (reports, reported) = watch::channel(shared.identity.report());
    let settings = WatchSettings { longest_pause: shared.config.timeouts.reconnect_most, ..WatchSettings::default() };
    let discovery = Watch::new(picture, workload, reported, settings);
    let identity = shared.identity.clone();
    shutdown.spawn("discovery", |stop| {
        let connect = move || {
            let identity = identity.clone();
            async move { identity.control_channel().await }
        };
        discovery.run(connect, stop)
    });
    let shared = shared.clone();
    shutdown.spawn("trust", |stop| exchange_trust(shared, (reports, condition), stop));
}

/// Takes the trust bundle and says what is in use, until `stop`.
async fn exchange_trust(
    shared: Arc<Shared>,
    (reports, condition): (watch::Sender<Option<pb::Report>>, Condition),
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut bundles = shared.directory.trust_bundle();
    let mut identities = shared.identity.changes();
    let mut policies = shared.directory.inbound().changes();
    loop {
        if shared.directory.inbound().view().is_some() {
            condition.ready();
        }
        let bundle = bundles.borrow_and_update().clone();
        if let Some(bundle) = bundle
            && let Err(error) = shared.identity.update_bundle(&bundle)
        {
            warn!(error = chain(&error), "trust bundle refused");
        }
        reports.send_replace(shared.identity.report());
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            Ok(()) = bundles.changed() => {}
            Ok(()) = identities.changed() => {}
            Ok(()) = policies.changed() => {}
        }
    }
}

fn start_tap(shared: &Shared, shutdown: &Shutdown) -> Result<(), weft_certs::SpiffeIdError> {
    let tap = TapPort::new(&shared.config, shared.identity.clone(), shared.observers.taps.clone())?;
    let ports = &shared.config.ports;
    tap.start((&ports.inbound_addresses, ports.tap), shutdown);
    Ok(())
}

fn start_access_log(config: &Config, metrics: &Metrics, shutdown: &Shutdown) -> AccessLog {
    let Some(format) = config.observing.access_log else { return AccessLog::off() };
    let (log, writer) = AccessLog::new(format, config.observing.access_log_queue, metrics.access_log_dropped());
    shutdown.spawn("access-log", |stop| writer.run(tokio::io::stdout(), stop));
    log
}

fn start_traces(config: &Config, metrics: &Metrics, shutdown: &Shutdown) -> Traces {
    let Some(collector) = config.observing.otlp.clone() else { return Traces::default() };
    let counters = metrics.spans().clone();
    let (traces, queued) = Traces::new(config.observing.trace_ratio, counters.of(SpanOutcome::QueueFull));
    let exporter = Exporter::new(config, collector, counters, queued);
    shutdown.spawn("traces", |stop| exporter.run(stop));
    traces
}

/// What /config shows.
fn beliefs(shared: Arc<Shared>) -> Box<dyn Fn() -> serde_json::Value + Send + Sync> {
    Box::new(move || {
        json!({
            "pod": {
                "namespace": shared.config.pod.namespace,
                "name": shared.config.pod.name,
                "addresses": shared.config.pod.addresses,
            },
            "identity": shared.identity.describe(),
            "destinations": destinations(&shared),
            "inbound": shared.directory.inbound().view().map(|view| format!("{view:?}")),
            "requests_in_flight": { "outbound": shared.in_flight.taken(), "inbound": shared.inbound_in_flight.taken() },
        })
    })
}

/// Each destination that is followed, and its endpoints.
fn destinations(shared: &Shared) -> serde_json::Value {
    let backends = shared.directory.backends();
    let endpoints = |backend: &Backend| {
        let all = backend.balancer.endpoints();
        let one = |endpoint: &Arc<Endpoint>| {
            json!({
                "address": endpoint.addr.to_string(),
                "identity": endpoint.identity.as_ref().map(ToString::to_string),
                "in_flight": endpoint.in_flight(),
                "latency_ms": endpoint.latency().as_secs_f64() * 1000.0,
            })
        };
        all.iter().map(one).collect::<Vec<_>>()
    };
    let named = backends.iter().map(|backend| (backend.destination.to_string(), json!(endpoints(backend))));
    serde_json::Value::Object(named.collect())
}

/// The listeners of one direction, by worker.
struct Sockets {
    outbound: Vec<Vec<TcpListener>>,
    inbound: Vec<Vec<TcpListener>>,
}

fn bind(config: &Config, workers: NonZeroUsize) -> Result<Sockets, BindError> {
    let liveness = Liveness { keepalive: config.timeouts.keepalive, user_timeout: config.timeouts.user_timeout };
    let ports = &config.ports;
    let outbound = Listening { addresses: ports.outbound_addresses.clone(), port: ports.outbound, liveness };
    let inbound = Listening { addresses: ports.inbound_addresses.clone(), port: ports.inbound, liveness };
    Ok(Sockets { outbound: listen::bind(&outbound, workers)?, inbound: listen::bind(&inbound, workers)? })
}

/// One direction of one worker.
struct Side {
    listeners: Vec<TcpListener>,
    member: Member,
    inbox: Inbox,
    slots: Slots,
}

fn start_workers(
    shared: &Arc<Shared>,
    workers: NonZeroUsize,
    sockets: Sockets,
) -> io::Result<Vec<thread::JoinHandle<()>>> {
    let loads = Loads::new(workers);
    let sides = |listeners: Vec<Vec<TcpListener>>| {
        let slots = Slots::new(shared.config.limits.connections);
        let crew = listen::crew(&loads).into_iter();
        let side = move |(listeners, (member, inbox))| Side { listeners, member, inbox, slots: slots.clone() };
        listeners.into_iter().zip(crew).map(side).collect::<Vec<_>>()
    };
    let pairs = sides(sockets.outbound).into_iter().zip(sides(sockets.inbound));
    let spawn = |(index, (outbound, inbound)): (usize, (Side, Side))| {
        let shared = shared.clone();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            LocalSet::new().block_on(&runtime, work(shared, outbound, inbound));
        })
    };
    pairs.enumerate().map(spawn).collect()
}

/// A worker's life.
async fn work(shared: Arc<Shared>, outbound: Side, inbound: Side) {
    let worker = Worker::new(shared);
    let drain = worker.shared.drain.clone();
    spawn_local(worker.timers.clone().drive());
    spawn_local(forget_handles(worker.clone()));
    // What the app calls is served until the end; who calls the app is refused from the moment that the proxy leaves.
    accept(
        &worker,
        outbound,
        |drain| async move { drain.stopped().await },
        |worker, connection| {
            spawn_local(outbound::serve(worker, connection));
        },
    );
    accept(
        &worker,
        inbound,
        |drain| async move { drain.leaving().await },
        |worker, connection| {
            spawn_local(inbound::serve(worker, connection));
        },
    );
    spawn_local({
        let (worker, drain) = (worker.clone(), drain.clone());
        async move {
            drain.draining().await;
            worker.links.drain();
        }
    });
    drain.stopped().await;
}

async fn forget_handles(worker: std::rc::Rc<Worker>) {
    loop {
        tokio::time::sleep(HANDLES_KEPT).await;
        worker.forget_handles();
    }
}

/// Accepts on all listeners of one direction.
fn accept<U>(
    worker: &std::rc::Rc<Worker>,
    side: Side,
    until: fn(crate::shutdown::Drain) -> U,
    serve: fn(std::rc::Rc<Worker>, Connection),
) where
    U: Future<Output = ()> + 'static,
{
    let drain = &worker.shared.drain;
    for listener in side.listeners {
        let acceptor = Acceptor { listener, member: side.member.clone(), slots: side.slots.clone() };
        let (worker, until) = (worker.clone(), until(drain.clone()));
        spawn_local(async move {
            let accepting = acceptor.run(until, |connection| serve(worker.clone(), connection));
            if let Err(error) = accepting.await {
                warn!(error = %error, "accepting ended");
            }
        });
    }
    let (worker, until) = (worker.clone(), until(drain.clone()));
    spawn_local(listen::receive(side.inbox, until, move |connection| serve(worker.clone(), connection)));
}
