//! The sandbox's network: one bridge, and for every pod a network namespace with a cable to it.
//!
//! All by netlink; no `ip` program. Rules for ClusterIPs are `cluster_ip`'s.

mod namespace;
mod socket;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::{AddressHeaderFlags, AddressMessage};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder};

pub(crate) use namespace::{Namespaces, in_namespace};
pub(crate) use socket::connect_from;

use crate::address::{AddressPair, POD_RANGE_V4, POD_RANGE_V6};

const BRIDGE: &str = "weft0";

/// Interface number of every pod's `eth0`. The kernel looks at a new link at once only if its peer has another number
/// (linkwatch_urgent_event); otherwise the bridge may forward nothing to it for a second. No cable's number gets here.
const POD_LINK: u32 = 1_000_000;

/// With forwarding on, no route out and no limit to ICMP, a pod that dials elsewhere hears "unreachable" at once.
const SWITCHES: [(&str, &str); 4] = [
    ("/proc/sys/net/ipv4/ip_forward", "1"),
    ("/proc/sys/net/ipv6/conf/all/forwarding", "1"),
    ("/proc/sys/net/ipv4/icmp_ratelimit", "0"),
    ("/proc/sys/net/ipv6/icmp/ratelimit", "0"),
];

/// Why a network cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refuses a namespace, a mount or a file.
    #[error("cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refuses a link, an address or a route.
    #[error("cannot {doing}")]
    Netlink {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        #[source]
        source: rtnetlink::Error,
    },
    /// nf_tables refuses the rules.
    #[error("cannot write the rules for Services")]
    Rules(#[source] weft_proxy::redirect::nft::NftError),
    /// The thread that sets a pod up ended without a result.
    #[error("the thread that sets up a pod ended early")]
    Lost,
}

/// Makes an error of a system call out of what was tried.
pub(crate) fn system<E: Into<std::io::Error>>(doing: &'static str) -> impl FnOnce(E) -> NetError {
    move |source| NetError::System { doing, source: source.into() }
}

fn netlink(doing: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetError {
    move |source| NetError::Netlink { doing, source }
}

/// The bridge in the supervisor's namespace.
pub(crate) struct Network {
    handle: Handle,
    bridge: u32,
    gateway: AddressPair,
}

impl Network {
    /// Brings up loopback and the bridge in this process's (new, empty) network namespace. Needs a `LocalSet`.
    pub(crate) async fn new(gateway: AddressPair) -> Result<Self, NetError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(system("open a netlink socket"))?;
        tokio::task::spawn_local(connection);
        link_up(&handle, index_of(&handle, "lo").await?).await?;
        let bridge = LinkBridge::new(BRIDGE).build();
        handle
            .link()
            .add(bridge)
            .execute()
            .await
            .map_err(netlink("make a bridge (the kernel needs CONFIG_BRIDGE, module bridge)"))?;
        let bridge = index_of(&handle, BRIDGE).await?;
        add_addresses(&handle, bridge, gateway).await?;
        link_up(&handle, bridge).await?;
        for (switch, value) in SWITCHES {
            if let Err(error) = std::fs::write(switch, value) {
                tracing::debug!(%error, switch, "a switch of the network stays as it is");
            }
        }
        Ok(Self { handle, bridge, gateway })
    }

    /// A new pod's namespaces: `eth0` with the addresses, loopback, a default route, its hosts file and host name.
    pub(crate) async fn pod(&self, address: AddressPair, name: &str, hosts: PathBuf) -> Result<Namespaces, NetError> {
        let home = namespace::current_network()?;
        let cable = format!("w{:x}", u32::from(address.v4) & 0xffff);
        let gateway = self.gateway;
        let pod = {
            let cable = cable.clone();
            let inside = move |_: &Namespaces| configure_pod(cable, home, address, gateway);
            Namespaces::create(name.to_owned(), hosts, inside).await?
        };
        let index = index_of(&self.handle, &cable).await?;
        let attach = LinkUnspec::new_with_index(index).controller(self.bridge).up().build();
        self.handle.link().set(attach).execute().await.map_err(netlink("attach a pod to the bridge"))?;
        Ok(pod)
    }
}

/// Runs on the pod's set-up thread, within its namespaces.
fn configure_pod(cable: String, home: OwnedFd, address: AddressPair, gateway: AddressPair) -> Result<(), NetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(system("start a runtime"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(system("open a netlink socket"))?;
        tokio::task::spawn_local(connection);
        link_up(&handle, index_of(&handle, "lo").await?).await?;
        let veth = LinkVeth::new("eth0", &cable).index(POD_LINK).build();
        handle
            .link()
            .add(veth)
            .execute()
            .await
            .map_err(netlink("make a veth pair (the kernel needs CONFIG_VETH, module veth)"))?;
        let far = index_of(&handle, &cable).await?;
        let send = LinkUnspec::new_with_index(far).setns_by_fd(std::os::fd::AsRawFd::as_raw_fd(&home)).build();
        handle.link().set(send).execute().await.map_err(netlink("hand a veth over"))?;
        let near = index_of(&handle, "eth0").await?;
        add_addresses(&handle, near, address).await?;
        link_up(&handle, near).await?;
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway.v4).output_interface(near).build();
        handle.route().add(v4).execute().await.map_err(netlink("set the IPv4 route"))?;
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway.v6).output_interface(near).build();
        handle.route().add(v6).execute().await.map_err(netlink("set the IPv6 route"))
    })
}

async fn index_of(handle: &Handle, name: &str) -> Result<u32, NetError> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    let link = links.try_next().await.map_err(netlink("find a link"))?;
    link.map(|link| link.header.index)
        .ok_or(NetError::Netlink { doing: "find a link", source: rtnetlink::Error::RequestFailed })
}

async fn link_up(handle: &Handle, index: u32) -> Result<(), NetError> {
    let up = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(up).execute().await.map_err(netlink("bring a link up"))
}

async fn add_addresses(handle: &Handle, index: u32, address: AddressPair) -> Result<(), NetError> {
    let pairs = [(IpAddr::V4(address.v4), POD_RANGE_V4.1), (IpAddr::V6(address.v6), POD_RANGE_V6.1)];
    for (address, prefix) in pairs {
        let mut add = handle.address().add(index, address, prefix);
        if address.is_ipv6() {
            // Duplicate address detection would keep the address unusable for a second or two.
            let message: &mut AddressMessage = add.message_mut();
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
        add.execute().await.map_err(netlink("give a link its address"))?;
    }
    Ok(())
}
