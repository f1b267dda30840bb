//! How the supervisor starts: namespaces first, then process 1 within them.

use std::io::{self, BufRead, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getegid, geteuid};

use super::state::Sandbox;
use crate::net::{NetError, system};
use crate::protocol::{DETACH, Event, Setup};

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
enum StageError {
    #[error(
        "this kernel lets only root make namespaces: run as root, or allow user namespaces \
         (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, \
         user.max_user_namespaces above 0)"
    )]
    NoUserNamespaces,
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the supervisor was started without its setup")]
    NoSetup(#[source] io::Error),
    #[error(transparent)]
    Start(#[from] super::state::StartError),
}

/// Runs the supervisor in a process that has just started and has one thread; ends with the sandbox.
///
/// Standard input brings the setup in one line and is the lifeline: when it closes, everything ends.
pub fn run() -> std::process::ExitCode {
    match stages() {
        Ok(code) => std::process::ExitCode::from(code),
        Err(error) => {
            tell(&Event::Failed(crate::error::chain(&error)));
            std::process::ExitCode::FAILURE
        }
    }
}

/// Tells whoever started the sandbox; after `--detach` nobody listens any more.
pub(super) fn tell(event: &Event) {
    if let Ok(mut line) = serde_json::to_string(event) {
        line.push('\n');
        let _ = io::stdout().lock().write_all(line.as_bytes());
    }
}

fn stages() -> Result<u8, StageError> {
    let _ = nix::unistd::setsid(); // refused to a group's leader, for whom it is needless
    new_namespaces()?;
    // SAFETY: this process has one thread, so nothing can be locked in the child.
    match unsafe { fork() }.map_err(system("start process 1"))? {
        ForkResult::Parent { child } => Ok(match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).unwrap_or(u8::MAX),
            _ => u8::MAX,
        }),
        ForkResult::Child => {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("tie process 1 to its parent"))?;
            supervise().map(|()| 0)
        }
    }
}

/// Network, mounts and pids of its own; a user namespace where this user may not make the others.
fn new_namespaces() -> Result<(), StageError> {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if !geteuid().is_root() || unshare(flags) == Err(Errno::EPERM) {
        let (user, group) = (geteuid(), getegid());
        unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(|errno| match errno {
            Errno::EPERM | Errno::ENOSPC | Errno::EINVAL => StageError::NoUserNamespaces,
            _ => system("make the sandbox's namespaces")(errno).into(),
        })?;
        let maps = [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("0 {user} 1")),
            ("/proc/self/gid_map", format!("0 {group} 1")),
        ];
        for (file, text) in maps {
            std::fs::write(file, text).map_err(|_| StageError::NoUserNamespaces)?;
        }
    }
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(system("make mounts private"))?;
    Ok(())
}

fn supervise() -> Result<(), StageError> {
    let mut line = String::new();
    let mut input = io::stdin().lock();
    input.read_line(&mut line).map_err(StageError::NoSetup)?;
    drop(input);
    let setup: Setup = serde_json::from_str(&line).map_err(|error| StageError::NoSetup(error.into()))?;
    let inherited = setup.listeners.iter().map(|listener| listener.descriptor).chain([setup.lock]);
    for descriptor in inherited {
        // No program in a pod may inherit them.
        close_on_exec(descriptor).map_err(system("guard an inherited descriptor"))?;
    }
    watch_lifeline()?;
    // A reader that has stopped reading must not hold the supervisor up; short lines are written whole or not at all.
    let flags = OFlag::O_NONBLOCK;
    fcntl(io::stdout(), FcntlArg::F_SETFL(flags)).map_err(system("set up standard output"))?;
    // SAFETY: the descriptor was inherited for this; it is held until the process ends, which releases the lock.
    let _lock = unsafe { OwnedFd::from_raw_fd(setup.lock) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start a runtime"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { Sandbox::run(setup).await })?;
    Ok(())
}

fn close_on_exec(descriptor: i32) -> nix::Result<()> {
    // SAFETY: fcntl with F_SETFD takes integers only; a descriptor that is not open gives an error.
    Errno::result(unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// Ends this process, and by that everything, when the one who started it is gone. Its thread needs nobody's turn.
fn watch_lifeline() -> Result<(), NetError> {
    let watch = || {
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(_) if line.trim_end() == DETACH => {}
            // Without destructors: whoever could wait for them is dead.
            _ => unsafe_exit(),
        }
    };
    std::thread::Builder::new().name("lifeline".into()).spawn(watch).map(drop).map_err(system("start a thread"))
}

fn unsafe_exit() -> ! {
    // SAFETY: _exit ends the process at once; nothing runs afterwards.
    unsafe { libc::_exit(0) }
}
