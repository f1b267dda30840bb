//! One pod from its network to its last process.

use std::cell::{Cell, OnceCell};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::container::{self, Container};
use super::state::Sandbox;
use super::{mesh, sync};
use crate::address::AddressPair;
use crate::manifest::{self, FieldRef, PodTemplate, Workload};
use crate::net::{Namespaces, NetError};
use crate::protocol;

/// Characters of a pod's suffix: Kubernetes' own, of which no word can be made.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Index of its workload in the manifests.
    pub(super) workload: Option<usize>,
    pub(super) template: PodTemplate,
    pub(super) meshed: bool,
    pub(super) address: AddressPair,
    pub(super) containers: Vec<Container>,
    /// Its deletion has begun.
    pub(super) stop: CancellationToken,
    /// Nothing is left of it.
    pub(super) gone: CancellationToken,
    /// Hosts file and logs.
    pub(super) folder: PathBuf,
    /// What the rules for ClusterIPs in its network were last made from.
    pub(super) rules: Cell<u64>,
    namespaces: OnceCell<Arc<Namespaces>>,
}

/// What a pod is made from.
pub(super) struct Parts {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) workload: Option<usize>,
    pub(super) template: PodTemplate,
    pub(super) address: AddressPair,
    pub(super) sidecar: Option<manifest::Container>,
    pub(super) folder: PathBuf,
}

impl Pod {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { namespace, name, workload, template, address, sidecar, folder } = parts;
        let apps = template.containers.iter().map(|spec| Container::new(spec.clone(), &folder, false));
        let meshed = sidecar.is_some();
        let sidecar = sidecar.map(|spec| Container::new(spec, &folder, true));
        Self {
            containers: apps.chain(sidecar).collect(),
            namespace,
            name,
            workload,
            template,
            meshed,
            address,
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
            folder,
            rules: Cell::new(0),
            namespaces: OnceCell::new(),
        }
    }

    /// Begins a pod of the workload with this index.
    pub(super) fn start(sandbox: &Rc<Sandbox>, index: usize, workload: &Workload, meshed: bool) {
        let address = match sandbox.addresses.borrow_mut().take() {
            Ok(address) => address,
            Err(error) => return sandbox.warn(&format!("{}/{}: {error}", workload.namespace, workload.name)),
        };
        let name = match workload.replicas {
            Some(_) => unused_name(sandbox, workload),
            None => workload.name.clone(),
        };
        let folder = sandbox.folder.join("pods").join(&workload.namespace).join(&name);
        let mesh = sandbox.mesh.as_ref().filter(|_| meshed);
        let pod = Rc::new(Self::new(Parts {
            namespace: workload.namespace.clone(),
            name,
            workload: Some(index),
            template: workload.template.clone(),
            address,
            sidecar: mesh.map(|mesh| mesh::sidecar(mesh, &folder, &sandbox.proxy_env)),
            folder,
        }));
        sandbox.pods.borrow_mut().push(pod.clone());
        pod.spawn(sandbox);
    }

    /// Brings the pod to life.
    pub(super) fn spawn(self: Rc<Self>, sandbox: &Rc<Sandbox>) {
        let sandbox = sandbox.clone();
        tokio::task::spawn_local(async move { self.live(&sandbox).await });
    }

    /// Both addresses, IPv4 first.
    pub(super) fn addresses(&self) -> [IpAddr; 2] {
        [IpAddr::V4(self.address.v4), IpAddr::V6(self.address.v6)]
    }

    pub(super) fn ready(&self) -> bool {
        !self.stop.is_cancelled() && self.containers.iter().all(|container| container.is_ready())
    }

    /// Its namespaces, once they are made.
    pub(super) fn namespaces(&self) -> Option<&Arc<Namespaces>> {
        self.namespaces.get()
    }

    /// Its network, once it is made.
    pub(super) fn network(&self) -> Option<BorrowedFd<'_>> {
        self.namespaces.get().map(|namespaces| namespaces.network())
    }

    pub(super) fn hosts(&self) -> PathBuf {
        self.folder.join("hosts")
    }

    /// A field of the pod as text.
    pub(super) fn field(&self, field: &FieldRef) -> String {
        let template = &self.template;
        match field {
            FieldRef::Name => self.name.clone(),
            FieldRef::Namespace => self.namespace.clone(),
            FieldRef::ServiceAccount => template.service_account.clone(),
            FieldRef::PodIp => self.address.v4.to_string(),
            FieldRef::PodIps => format!("{},{}", self.address.v4, self.address.v6),
            FieldRef::Label(key) => template.labels.get(key).cloned().unwrap_or_default(),
            FieldRef::Annotation(key) => template.annotations.get(key).cloned().unwrap_or_default(),
        }
    }

    pub(super) fn describe(&self) -> protocol::Pod {
        let containers: Vec<_> = self.containers.iter().map(Container::describe).collect();
        let [address, _] = self.addresses();
        protocol::Pod {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            address,
            addresses: self.addresses().to_vec(),
            ready: self.ready(),
            meshed: self.meshed,
            pids: containers.iter().filter_map(|container| container.pid).collect(),
            containers,
        }
    }

    async fn live(self: Rc<Self>, sandbox: &Rc<Sandbox>) {
        match self.make_network(sandbox).await {
            Ok(()) => self.run_containers(sandbox).await,
            Err(error) => {
                let reason = crate::error::chain(&error);
                sandbox.warn(&format!("pod {}/{} has no network: {reason}", self.namespace, self.name));
                self.stop.cancelled().await;
            }
        }
        sandbox.pods.borrow_mut().retain(|pod| !Rc::ptr_eq(pod, &self));
        sandbox.addresses.borrow_mut().release(self.address);
        self.gone.cancel();
        if !sandbox.stop.is_cancelled() {
            sandbox.reconcile();
        }
    }

    async fn make_network(&self, sandbox: &Rc<Sandbox>) -> Result<(), NetError> {
        std::fs::create_dir_all(&self.folder).map_err(crate::net::system("make a pod's folder"))?;
        sync::write_hosts(sandbox, self).map_err(crate::net::system("write a pod's hosts file"))?;
        let namespaces = sandbox.network.pod(self.address, &self.name, self.hosts()).await?;
        let namespaces = self.namespaces.get_or_init(|| Arc::new(namespaces));
        sync::write_rules(sandbox, self, namespaces.network()).await
    }

    /// Until the pod shall stop, and until all of it has: the sidecar starts before the apps and ends after them.
    async fn run_containers(self: &Rc<Self>, sandbox: &Rc<Sandbox>) {
        let (mut apps, mut sidecars) = (JoinSet::new(), JoinSet::new());
        let apps_ended = CancellationToken::new();
        let start =
            |index, stop: &CancellationToken| container::run(sandbox.clone(), self.clone(), index, stop.clone());
        let begin = async {
            if let Some(index) = self.containers.iter().position(|container| container.sidecar) {
                mesh::prepare(sandbox, self, &self.containers[index]).await;
                sidecars.spawn_local(start(index, &apps_ended));
                self.containers[index].become_ready().await;
            }
            for index in (0..self.containers.len()).filter(|index| !self.containers[*index].sidecar) {
                apps.spawn_local(start(index, &self.stop));
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = begin => self.stop.cancelled().await,
        }
        sandbox.touch();
        let drain = async {
            for sidecar in self.containers.iter().filter(|container| container.sidecar && container.is_ready()) {
                mesh::proxy_command(sandbox, self, sidecar, "drain").await;
            }
        };
        let end_apps = async { while apps.join_next().await.is_some() {} };
        tokio::join!(drain, end_apps);
        apps_ended.cancel();
        while sidecars.join_next().await.is_some() {}
    }
}

fn unused_name(sandbox: &Sandbox, workload: &Workload) -> String {
    let pods = sandbox.pods.borrow();
    loop {
        let suffix: String = (0..5).map(|_| char::from(SUFFIX[fastrand::usize(..SUFFIX.len())])).collect();
        let name = format!("{}-{suffix}", workload.name);
        if !pods.iter().any(|pod| pod.namespace == workload.namespace && pod.name == name) {
            return name;
        }
    }
}
