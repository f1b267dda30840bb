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
use super::sync;
use crate::address::AddressPair;
use crate::manifest::{FieldRef, PodTemplate, Workload};
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

impl Pod {
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
        let containers = workload.template.containers.iter();
        let pod = Rc::new(Self {
            namespace: workload.namespace.clone(),
            workload: Some(index),
            template: workload.template.clone(),
            meshed,
            address,
            containers: containers.map(|spec| Container::new(spec.clone(), &folder)).collect(),
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
            folder,
            rules: Cell::new(0),
            namespaces: OnceCell::new(),
            name,
        });
        sandbox.pods.borrow_mut().push(pod.clone());
        let sandbox = sandbox.clone();
        tokio::task::spawn_local(async move { pod.live(&sandbox).await });
    }

    /// Both addresses, IPv4 first.
    pub(super) fn addresses(&self) -> [IpAddr; 2] {
        [IpAddr::V4(self.address.v4), IpAddr::V6(self.address.v6)]
    }

    pub(super) fn ready(&self) -> bool {
        !self.stop.is_cancelled() && self.containers.iter().all(|container| container.ready.get())
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

    /// Until the pod shall stop, and until all of it has.
    async fn run_containers(self: &Rc<Self>, sandbox: &Rc<Sandbox>) {
        let mut running = JoinSet::new();
        for index in 0..self.containers.len() {
            running.spawn_local(container::run(sandbox.clone(), self.clone(), index, self.stop.clone()));
        }
        self.stop.cancelled().await;
        sandbox.touch();
        while running.join_next().await.is_some() {}
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
