//! Network namespaces for tests: each test runs in one of its own, as root or in a user namespace.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up must say so")]

use std::{io, os::fd::AsRawFd, process::Command, thread};

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
