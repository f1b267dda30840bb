//! Network namespaces for tests: each test runs in one of its own, as root or in a user namespace.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up must say so")]

use std::{
    fs::File,
    io::{self, Read},
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
    process::Command,
    thread,
};

use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use socket2::{Domain, Protocol, Socket, Type};

/// Says to a test binary that it was started again inside a user namespace.
const INSIDE: &str = "WEFT_TEST_IN_USER_NAMESPACE";

/// Runs a test in a thread with a network namespace of its own, in which only `lo` exists, and is up.
///
/// Without the right to make one, the test called `name` is run by itself in a user namespace. Where the kernel
/// forbids that too the test fails and says why: it must not look as if it had run.
pub fn in_namespace(name: &str, test: impl FnOnce() + Send + 'static) {
    // SAFETY: getuid has no preconditions.
    let may = unsafe { libc::geteuid() } == 0;
    if !may && std::env::var_os(INSIDE).is_none() {
        return in_user_namespace(name);
    }
    let run = thread::spawn(move || {
        // SAFETY: changes only the calling thread, which ends with the test.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(done, 0, "DID NOT RUN: no network namespace: {}", io::Error::last_os_error());
        loopback_up().expect("lo up");
        test();
    });
    if let Err(panic) = run.join() {
        std::panic::resume_unwind(panic);
    }
}

fn in_user_namespace(name: &str) {
    let this = std::env::current_exe().expect("this test binary");
    let status = Command::new("unshare")
        .args(["--map-root-user", "--net"])
        .arg(this)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    match status {
        Ok(status) => assert!(status.success(), "{name} failed, or DID NOT RUN: see above (root or user namespaces)"),
        Err(e) => panic!("{name} DID NOT RUN: needs root, or `unshare` from util-linux and user namespaces: {e}"),
    }
}

fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all-zero is a valid ifreq; the name and flags fit; the descriptor is open.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Another network namespace at the end of a cable: `eth0` in both, up, with addresses of one network.
pub struct Peer {
    namespace: File,
}

/// Our end of the cable, and the peer's.
pub const OURS: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(10, 1, 0, 1), Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 1));
pub const PEERS: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(10, 1, 0, 2), Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 2));

impl Peer {
    /// Lays the cable from the namespace of the calling thread to a new one.
    pub fn new() -> Self {
        let namespace = in_thread(|| {
            // SAFETY: changes only the calling thread, which ends here.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", io::Error::last_os_error());
            loopback_up().expect("lo up");
            without_duplicate_detection();
            File::open("/proc/thread-self/ns/net").expect("our own namespace")
        });
        without_duplicate_detection();
        let peer = Self { namespace };
        let end = peer.namespace.as_raw_fd();
        with_netlink(async |handle| {
            let cable = LinkVeth::new("eth0", "cable").build();
            handle.link().add(cable).execute().await.expect("veth");
            let other = LinkUnspec::new_with_name("cable").setns_by_fd(end).build();
            handle.link().set(other).execute().await.expect("the other end");
        });
        configure("eth0", OURS);
        peer.run(|| configure("cable", PEERS));
        peer
    }

    /// Runs something in a thread in the peer's namespace; sockets that it makes stay there.
    pub fn run<R: Send>(&self, run: impl FnOnce() -> R + Send) -> R {
        let namespace = self.namespace.as_raw_fd();
        in_thread(move || {
            // SAFETY: changes only the calling thread, which ends here; the descriptor is open.
            assert_eq!(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) }, 0, "{}", io::Error::last_os_error());
            run()
        })
    }
}

fn in_thread<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// An IPv6 address is usable at once, not after a second.
fn without_duplicate_detection() {
    std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").expect("accept_dad");
}

fn configure(link: &str, (ipv4, ipv6): (Ipv4Addr, Ipv6Addr)) {
    let name = std::ffi::CString::new(link).expect("a name");
    // SAFETY: the name ends with NUL.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "{link}: {}", io::Error::last_os_error());
    with_netlink(async |handle| {
        handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await.expect("up");
        handle.address().add(index, ipv4.into(), 24).execute().await.expect("IPv4 address");
        handle.address().add(index, ipv6.into(), 64).execute().await.expect("IPv6 address");
    });
}

fn with_netlink(run: impl AsyncFnOnce(Handle)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
        tokio::select! {
            () = connection => panic!("netlink ended"),
            () = run(handle) => {}
        }
    });
}

/// All tables, chains and rules of the calling thread's namespace, as the kernel lists them; empty when there are none.
///
/// Handles and the position of a rule change with each replacement and are left out.
pub fn nftables() -> String {
    let kinds = [libc::NFT_MSG_GETTABLE, libc::NFT_MSG_GETCHAIN, libc::NFT_MSG_GETRULE];
    kinds.into_iter().flat_map(dump).map(|line| line + "\n").collect()
}

fn dump(kind: i32) -> Vec<String> {
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_NETFILTER)));
    let mut socket = socket.expect("netlink");
    let kind = (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16;
    let mut request = 20u32.to_ne_bytes().to_vec();
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    request.resize(20, 0); // sequence 0, every family
    socket.send(&request).expect("request");
    let mut lines = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = socket.read(&mut buffer).expect("answer");
        let mut bytes = &buffer[..length];
        while bytes.len() >= 20 {
            let length = u32::from_ne_bytes(bytes[..4].try_into().expect("four")) as usize;
            let kind = i32::from(u16::from_ne_bytes([bytes[4], bytes[5]]));
            if kind == libc::NLMSG_DONE || kind == libc::NLMSG_ERROR {
                return lines;
            }
            lines.push(format!("family {} {}", bytes[16], attributes(&bytes[20..length])));
            bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        }
    }
}

/// Short attributes of the first level are handles and counters: they change; names and expressions do not.
fn attributes(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while bytes.len() > 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let value = &bytes[4..length];
        if value.len() != 8 && value.len() != 4 {
            text += &String::from_utf8_lossy(value).replace(|c: char| !c.is_ascii_alphanumeric(), ".");
            text += " ";
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    text
}
