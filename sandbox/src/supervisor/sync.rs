//! Keeps names, rules and the control plane's folder true whenever a pod or its readiness changes.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use super::mesh::Mesh;
use super::pod::Pod;
use super::state::Sandbox;
use crate::cluster_ip::{self, ClusterIpError, Forward};
use crate::hosts;
use crate::net::NetError;
use crate::picture::{self, PodView, ServiceView};
use crate::registry;

/// Starts the task that follows every change.
pub(super) fn serve(sandbox: &Rc<Sandbox>) {
    let sandbox = sandbox.clone();
    tokio::task::spawn_local(async move {
        loop {
            sandbox.changed.notified().await;
            follow(&sandbox).await;
        }
    });
}

async fn follow(sandbox: &Sandbox) {
    let (ready, changes) = (sandbox.all_ready(), sandbox.changes());
    if let Some(mesh) = &sandbox.mesh {
        if let Err(error) = write_registry(sandbox, mesh) {
            sandbox.warn(&format!("cannot write the control plane's folder: {error}"));
        }
        if mesh.pod.ready() {
            mesh.started.cancel();
        }
    }
    for pod in sandbox.live() {
        let Some(network) = pod.network() else {
            continue; // its own start writes both
        };
        if let Err(error) = write_hosts(sandbox, &pod) {
            sandbox.warn(&format!("pod {}/{}: cannot write its hosts file: {error}", pod.namespace, pod.name));
        }
        if let Err(error) = write_rules(sandbox, &pod, network).await {
            let reason = crate::error::chain(&error);
            sandbox.warn(&format!("pod {}/{}: {reason}", pod.namespace, pod.name));
        }
    }
    // Otherwise the next turn, which is due already, knows better.
    if changes == sandbox.changes() {
        sandbox.publish_ready(ready);
    }
}

/// Writes what has changed into the control plane's folder.
pub(super) fn write_registry(sandbox: &Sandbox, mesh: &Mesh) -> io::Result<()> {
    let manifests = sandbox.manifests.borrow();
    let files = with_picture(sandbox, |services, pods| registry::files(services, pods, &manifests.policies));
    mesh.registry.borrow_mut().write(files)
}

/// Writes the pod's /etc/hosts in place: it is mounted, so it must stay the same file.
pub(super) fn write_hosts(sandbox: &Sandbox, pod: &Pod) -> io::Result<()> {
    let names = with_picture(sandbox, picture::names);
    let text = hosts::file(&pod.name, &pod.namespace, &pod.addresses(), &names);
    let path = pod.hosts();
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let mut file = std::fs::File::options().create(true).write(true).truncate(false).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Puts the rules for ClusterIPs in place in a pod's network, unless they are.
pub(super) async fn write_rules(sandbox: &Sandbox, pod: &Pod, network: BorrowedFd<'_>) -> Result<(), NetError> {
    let forwards: Vec<Forward> = with_picture(sandbox, picture::forwards);
    let fingerprint = cluster_ip::fingerprint(&forwards);
    if pod.rules.replace(fingerprint) == fingerprint {
        return Ok(());
    }
    match cluster_ip::apply(network, &forwards).await {
        Ok(()) => Ok(()),
        Err(ClusterIpError::Net(error)) => Err(error),
        Err(ClusterIpError::Nft(error)) => Err(NetError::Rules(error)),
    }
}

/// Lets `view` look at all Services and pods, also those on their way out.
pub(super) fn with_picture<T>(sandbox: &Sandbox, view: impl FnOnce(&[ServiceView<'_>], &[PodView<'_>]) -> T) -> T {
    let pods = sandbox.pods.borrow().clone();
    let services: Vec<_> = sandbox
        .services
        .iter()
        .map(|service| ServiceView { spec: &service.spec, addresses: service.addresses() })
        .collect();
    let pods: Vec<_> = pods
        .iter()
        .map(|pod| PodView {
            namespace: &pod.namespace,
            name: &pod.name,
            template: &pod.template,
            addresses: pod.addresses(),
            ready: pod.ready(),
            meshed: pod.meshed,
            stopping: pod.stop.is_cancelled(),
        })
        .collect();
    view(&services, &pods)
}
