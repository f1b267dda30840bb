//! What the sandbox holds, and its life from start to end.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::mesh::Mesh;
use super::pod::Pod;
use super::service::{self, Service};
use super::{control, relay, stage, sync};
use crate::address::{Allocator, RangeFull};
use crate::manifest::Manifests;
use crate::net::{NetError, Network};
use crate::process::Processes;
use crate::protocol::{Event, Listener, Setup};

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
    /// Where any pod is meshed.
    pub(super) mesh: Option<Mesh>,
    /// Settings of every sidecar, over the sandbox's own.
    pub(super) proxy_env: Vec<(String, String)>,
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
        let services = service::assign(&setup.manifests.services)?;
        let mut addresses = Allocator::pods();
        let mesh = match setup.manifests.any_injected() {
            true => Some(Mesh::new(&setup.folder, addresses.take()?, &setup.control_plane_env)?),
            false => None,
        };
        let sandbox = Rc::new(Self {
            network: Network::new(Allocator::gateway()).await?,
            processes: Processes::new(setup.build.clone()).map_err(io("watch for ended processes"))?,
            folder: setup.folder,
            build: setup.build,
            manifests: RefCell::new(setup.manifests),
            services,
            listeners: setup.listeners,
            addresses: RefCell::new(addresses),
            pods: RefCell::default(),
            mesh,
            proxy_env: setup.proxy_env,
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
        if let Some(mesh) = &sandbox.mesh {
            sync::write_registry(&sandbox, mesh).map_err(io("write the control plane's folder"))?;
            mesh.pod.clone().spawn(&sandbox);
        }
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

    /// Whether every pod that shall run runs and is ready.
    pub(super) fn all_ready(&self) -> bool {
        let pods = self.live();
        let manifests = self.manifests.borrow();
        let complete = manifests.workloads.iter().enumerate().all(|(index, workload)| {
            let live = pods.iter().filter(|pod| pod.workload == Some(index)).count();
            live == workload.replicas.unwrap_or(1) as usize
        });
        let mesh_ready = self.mesh.as_ref().is_none_or(|mesh| mesh.pod.ready());
        complete && mesh_ready && pods.iter().all(|pod| pod.ready())
    }

    /// Publishes whether all are ready; says so once.
    pub(super) fn publish_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
        if ready && !self.told_ready.replace(true) {
            stage::tell(&Event::Ready);
        }
    }

    async fn down(self: &Rc<Self>) {
        let mut pods = self.pods.borrow().clone();
        pods.extend(self.mesh.as_ref().map(|mesh| mesh.pod.clone()));
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

fn stop_on_sigterm(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::task::spawn_local(async move {
        terminate.recv().await;
        stop.cancel();
    });
    Ok(())
}
