//! What the sandbox holds, and its life from start to end.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::pod::Pod;
use super::{control, relay, stage, sync};
use crate::address::{AddressPair, Allocator, RangeFull};
use crate::manifest::{self, Manifests};
use crate::net::{NetError, Network};
use crate::process::Processes;
use crate::protocol::{self, Event, Listener, PodName, Setup};

/// How long pods may take to end with `down`; nothing is left of them afterwards either way.
const DOWN_GRACE: Duration = Duration::from_secs(1);

/// Why the sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot {doing}")]
    Io { doing: &'static str, source: std::io::Error },
    #[error(transparent)]
    RangeFull(#[from] RangeFull),
    #[error("Service {service}: the address {address} is taken or outside of 10.96.0.0/16 and fd00:96::/112")]
    ServiceAddress { service: String, address: IpAddr },
}

/// Which pod a name means.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error("there is no {kind} {name}; `weft sandbox ls` shows what there is")]
    None { kind: &'static str, name: PodName },
    #[error("{kind} {name} is in the namespaces {}: choose one with -n", namespaces.join(" and "))]
    Several { kind: &'static str, name: PodName, namespaces: Vec<String> },
}

/// A Service and the addresses that it was given.
pub(super) struct Service {
    pub(super) spec: manifest::Service,
    /// `None` where it is headless.
    pub(super) address: Option<AddressPair>,
}

impl Service {
    /// Its ClusterIPs, of the families that it asks for.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let families = self.spec.families;
        let v4 = self.address.filter(|_| families.v4).map(|pair| IpAddr::V4(pair.v4));
        let v6 = self.address.filter(|_| families.v6).map(|pair| IpAddr::V6(pair.v6));
        v4.into_iter().chain(v6).collect()
    }
}

/// Everything of one sandbox. One thread owns it; tasks share it by `Rc`.
pub(super) struct Sandbox {
    pub(super) folder: PathBuf,
    pub(super) build: PathBuf,
    pub(super) manifests: RefCell<Manifests>,
    pub(super) services: Vec<Service>,
    pub(super) listeners: Vec<Listener>,
    pub(super) network: Network,
    pub(super) processes: Rc<Processes>,
    pub(super) addresses: RefCell<Allocator>,
    pub(super) pods: RefCell<Vec<Rc<Pod>>>,
    /// Something has changed that endpoints, names or rules follow from.
    pub(super) changed: Notify,
    /// How often it has.
    changes: Cell<u64>,
    /// Whether every pod is ready, and endpoints, names and rules say so.
    pub(super) ready: watch::Sender<bool>,
    told_ready: Cell<bool>,
    /// Everything shall end.
    pub(super) stop: CancellationToken,
}

impl Sandbox {
    /// Runs until `down`, SIGTERM or the end of whoever started it.
    pub(super) async fn run(setup: Setup) -> Result<(), StartError> {
        let io = |doing| move |source| StartError::Io { doing, source };
        let services = assign(&setup.manifests.services)?;
        let sandbox = Rc::new(Self {
            network: Network::new(Allocator::gateway()).await?,
            processes: Processes::new(setup.build.clone()).map_err(io("watch for ended processes"))?,
            folder: setup.folder,
            build: setup.build,
            manifests: RefCell::new(setup.manifests),
            services,
            listeners: setup.listeners,
            addresses: RefCell::new(Allocator::pods()),
            pods: RefCell::default(),
            changed: Notify::new(),
            changes: Cell::new(0),
            ready: watch::Sender::new(false),
            told_ready: Cell::new(false),
            stop: CancellationToken::new(),
        });
        stop_on_sigterm(sandbox.stop.clone()).map_err(io("watch for SIGTERM"))?;
        std::fs::create_dir_all(sandbox.folder.join("pods")).map_err(io("make the run folder"))?;
        control::serve(&sandbox).map_err(io("open the control socket"))?;
        relay::serve(&sandbox).map_err(io("listen on loopback"))?;
        stage::tell(&Event::Started);
        sync::serve(&sandbox);
        sandbox.reconcile();
        sandbox.stop.cancelled().await;
        sandbox.down().await;
        Ok(())
    }

    /// Tells the user, and the supervisor's log.
    pub(super) fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        stage::tell(&Event::Warning(text.to_owned()));
    }

    /// Starts the pods that are missing and stops those that are too many.
    pub(super) fn reconcile(self: &Rc<Self>) {
        let manifests = self.manifests.borrow();
        for (index, workload) in manifests.workloads.iter().enumerate() {
            let pods: Vec<Rc<Pod>> =
                self.pods.borrow().iter().filter(|pod| pod.workload == Some(index)).cloned().collect();
            let (stopping, live): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| pod.stop.is_cancelled());
            let wanted = match workload.replicas {
                Some(replicas) => replicas as usize,
                // A Pod keeps its name, so the next one waits for the end of the last.
                None => usize::from(stopping.is_empty()),
            };
            for _ in live.len()..wanted {
                Pod::start(self, index, workload, manifests.injected(workload));
            }
            for pod in live.iter().skip(wanted) {
                pod.stop.cancel();
            }
        }
        self.touch();
    }

    /// Something has changed: [`sync`] follows.
    pub(super) fn touch(&self) {
        self.changes.set(self.changes.get() + 1);
        self.ready.send_replace(false);
        self.changed.notify_one();
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// Pods that are not on their way out.
    pub(super) fn live(&self) -> Vec<Rc<Pod>> {
        self.pods.borrow().iter().filter(|pod| !pod.stop.is_cancelled()).cloned().collect()
    }

    /// The one pod of this name.
    pub(super) fn pod(&self, name: &PodName) -> Result<Rc<Pod>, FindError> {
        let pods = self.live();
        let found = pods.iter().filter(|pod| names(name, &pod.namespace, &pod.name)).cloned();
        one("pod", name, found.map(|pod| (pod.namespace.clone(), pod)).collect())
    }

    /// The index of the one Deployment of this name.
    pub(super) fn deployment(&self, name: &PodName) -> Result<usize, FindError> {
        let manifests = self.manifests.borrow();
        let all = manifests.workloads.iter().enumerate();
        let found = all.filter(|(_, load)| load.replicas.is_some() && names(name, &load.namespace, &load.name));
        one("Deployment", name, found.map(|(index, load)| (load.namespace.clone(), index)).collect())
    }

    /// Whether every pod that shall run runs and is ready.
    pub(super) fn all_ready(&self) -> bool {
        let pods = self.live();
        let manifests = self.manifests.borrow();
        let complete = manifests.workloads.iter().enumerate().all(|(index, workload)| {
            let live = pods.iter().filter(|pod| pod.workload == Some(index)).count();
            live == workload.replicas.unwrap_or(1) as usize
        });
        complete && pods.iter().all(|pod| pod.ready())
    }

    /// Publishes whether all are ready; says so once.
    pub(super) fn publish_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
        if ready && !self.told_ready.replace(true) {
            stage::tell(&Event::Ready);
        }
    }

    pub(super) fn listing(&self) -> protocol::Listing {
        let url = |service: &Service, listener: &Listener| {
            let same = listener.namespace == service.spec.namespace && listener.service == service.spec.name;
            same.then(|| protocol::Url { port: listener.port, url: listener.url.clone() })
        };
        let services = self.services.iter().map(|service| {
            let addresses = service.addresses();
            protocol::Service {
                namespace: service.spec.namespace.clone(),
                name: service.spec.name.clone(),
                address: addresses.first().copied(),
                addresses,
                ports: service.spec.ports.iter().map(|port| port.port).collect(),
                urls: self.listeners.iter().filter_map(|listener| url(service, listener)).collect(),
            }
        });
        protocol::Listing {
            pods: self.live().iter().map(|pod| pod.describe()).collect(),
            services: services.collect(),
            control_plane: None,
        }
    }

    async fn down(self: &Rc<Self>) {
        let pods = self.pods.borrow().clone();
        for pod in &pods {
            pod.stop.cancel();
        }
        let all_gone = async {
            for pod in &pods {
                pod.gone.cancelled().await;
            }
        };
        // What is left after that dies with process 1.
        let _ = tokio::time::timeout(DOWN_GRACE, all_gone).await;
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "the run folder stays until the next start");
        }
    }
}

fn names(name: &PodName, namespace: &str, other: &str) -> bool {
    name.name == other && name.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
}

fn one<T>(kind: &'static str, name: &PodName, mut found: Vec<(String, T)>) -> Result<T, FindError> {
    if found.len() > 1 {
        let namespaces = found.into_iter().map(|(namespace, _)| namespace).collect();
        return Err(FindError::Several { kind, name: name.clone(), namespaces });
    }
    found.pop().map(|(_, item)| item).ok_or_else(|| FindError::None { kind, name: name.clone() })
}

/// Gives every Service its addresses: first those that ask for one, so that nobody else gets it.
fn assign(specs: &[manifest::Service]) -> Result<Vec<Service>, StartError> {
    let mut allocator = Allocator::services();
    let mut services = Vec::new();
    for spec in specs {
        let mut address = None;
        for wanted in &spec.wanted {
            if address.is_some_and(|pair: AddressPair| IpAddr::V4(pair.v4) == *wanted || IpAddr::V6(pair.v6) == *wanted)
            {
                continue;
            }
            let service = format!("{}/{}", spec.namespace, spec.name);
            let taken = allocator.reserve(*wanted);
            address = Some(taken.ok_or(StartError::ServiceAddress { service, address: *wanted })?);
        }
        services.push(Service { spec: spec.clone(), address });
    }
    for service in services.iter_mut().filter(|service| !service.spec.headless && service.address.is_none()) {
        service.address = Some(allocator.take()?);
    }
    Ok(services)
}

fn stop_on_sigterm(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::task::spawn_local(async move {
        terminate.recv().await;
        stop.cancel();
    });
    Ok(())
}
