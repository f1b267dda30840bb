//! Network namespaces: held by a descriptor, so they vanish with their processes however this program ends.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Context;
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::thread;

/// Settings without which thousands of connections a second exhaust ports or the connection table. Where a kernel does
/// not have one, it has none of the limit either.
const SETTINGS: [(&str, &str); 6] = [
    ("net/ipv4/ip_local_port_range", "10240 65000"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/ipv4/tcp_max_tw_buckets", "4096"),
    ("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1"),
    ("net/netfilter/nf_conntrack_tcp_timeout_close", "1"),
    ("net/core/somaxconn", "4096"),
];

/// A network namespace with nothing in it but loopback and what was laid there.
pub struct Namespace(OwnedFd);

/// An end of a cable.
pub struct End<'a> {
    pub namespace: &'a Namespace,
    pub name: &'static str,
    pub address: Ipv4Addr,
}

impl Namespace {
    pub fn new() -> anyhow::Result<Self> {
        in_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
            for (setting, value) in SETTINGS {
                // Not there: nothing to limit.
                let _ = std::fs::write(format!("/proc/sys/{setting}"), value);
            }
            netlink(async |handle| up(&handle, "lo").await)?;
            Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
        })
    }

    /// Runs `work` in a thread in this namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
        in_thread(|| {
            self.enter().context("enter a network namespace")?;
            work()
        })
    }

    /// Moves the calling thread. One system call, so it may be done between fork and exec.
    pub fn enter(&self) -> nix::Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET)
    }

    pub fn copy(&self) -> anyhow::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Sends what has no other way to `gateway`.
    pub fn set_default_route(&self, gateway: Ipv4Addr) -> anyhow::Result<()> {
        let set = async |handle: Handle| {
            let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build();
            Ok(handle.route().add(route).execute().await?)
        };
        self.run(|| netlink(set)).context("set a default route")
    }
}

/// Lays a cable between two namespaces; both ends get their address, in one network of 256.
pub fn cable(near: &End<'_>, far: &End<'_>) -> anyhow::Result<()> {
    let (far_fd, near_name, far_name) = (far.namespace.0.as_raw_fd(), near.name, far.name);
    let lay = async |handle: Handle| {
        handle.link().add(LinkVeth::new(near_name, far_name).build()).execute().await?;
        let hand_over = LinkUnspec::new_with_name(far_name).setns_by_fd(far_fd).build();
        Ok(handle.link().set(hand_over).execute().await?)
    };
    near.namespace.run(|| netlink(lay)).context("lay a cable")?;
    for end in [near, far] {
        let (name, address) = (end.name, end.address);
        let configure = async |handle: Handle| {
            let index = nix::net::if_::if_nametoindex(name)?;
            handle.address().add(index, address.into(), 24).execute().await?;
            up(&handle, name).await
        };
        end.namespace.run(|| netlink(configure)).context("set an address")?;
    }
    Ok(())
}

async fn up(handle: &Handle, name: &str) -> anyhow::Result<()> {
    Ok(handle.link().set(LinkUnspec::new_with_name(name).up().build()).execute().await?)
}

fn netlink(work: impl AsyncFnOnce(Handle) -> anyhow::Result<()>) -> anyhow::Result<()> {
    thread::block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().context("open a netlink socket")?;
        tokio::task::spawn_local(connection);
        work(handle).await
    })
}

fn in_thread<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join().ok().context("a thread panicked")?)
}
