//! A pod's namespaces, held open by descriptors: they vanish with the last descriptor and process.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use tokio::sync::oneshot;

use super::{NetError, system};

/// Network, mounts (for the hosts file) and host name of a pod.
#[derive(Debug)]
pub(crate) struct Namespaces {
    network: OwnedFd,
    mounts: OwnedFd,
    name: OwnedFd,
}

impl Namespaces {
    /// New namespaces, made on a thread of their own, where `configure` then runs.
    pub(crate) async fn create(
        name: String,
        hosts: PathBuf,
        configure: impl FnOnce(&Self) -> Result<(), NetError> + Send + 'static,
    ) -> Result<Self, NetError> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let made = create_here(&name, &hosts).and_then(|made| configure(&made).map(|()| made));
            // The receiver is gone only when the whole sandbox ends.
            let _ = done.send(made);
        };
        std::thread::Builder::new().name("pod-setup".into()).spawn(work).map_err(system("start a thread"))?;
        result.await.map_err(|_| NetError::Lost)?
    }

    /// The network namespace.
    pub(crate) fn network(&self) -> BorrowedFd<'_> {
        self.network.as_fd()
    }

    /// Moves the calling process into all of them. Only system calls, so it may run between fork and exec.
    pub(crate) fn enter(&self) -> nix::Result<()> {
        setns(&self.network, CloneFlags::CLONE_NEWNET)?;
        setns(&self.name, CloneFlags::CLONE_NEWUTS)?;
        setns(&self.mounts, CloneFlags::CLONE_NEWNS)
    }
}

/// The calling thread's network namespace.
pub(super) fn current_network() -> Result<OwnedFd, NetError> {
    open("net")
}

fn create_here(name: &str, hosts: &Path) -> Result<Namespaces, NetError> {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
    unshare(flags).map_err(system("make a pod's namespaces"))?;
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(system("make a pod's mounts private"))?;
    mount(Some(hosts), "/etc/hosts", none, MsFlags::MS_BIND, none)
        .map_err(system("mount a pod's /etc/hosts (this machine must have that file)"))?;
    nix::unistd::sethostname(name).map_err(system("set a pod's host name"))?;
    Ok(Namespaces { network: open("net")?, mounts: open("mnt")?, name: open("uts")? })
}

fn open(kind: &str) -> Result<OwnedFd, NetError> {
    let file = File::open(format!("/proc/thread-self/ns/{kind}")).map_err(system("open a namespace under /proc"))?;
    Ok(file.into())
}

/// Runs `work` on a new thread within a network namespace.
pub(crate) async fn in_namespace<T: Send + 'static>(
    network: BorrowedFd<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NetError> {
    let network = network.try_clone_to_owned().map_err(system("copy a descriptor"))?;
    let (done, result) = oneshot::channel();
    let work = move || {
        let entered = setns(&network, CloneFlags::CLONE_NEWNET).map_err(system("enter a pod's network"));
        // The receiver is gone only when its caller has lost interest.
        let _ = done.send(entered.map(|()| work()));
    };
    std::thread::Builder::new().name("in-pod".into()).spawn(work).map_err(system("start a thread"))?;
    result.await.map_err(|_| NetError::Lost)?
}
