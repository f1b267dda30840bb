//! How processes are started in a namespace.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::namespace::Namespace;
use crate::process::{Process, end_with_parent};

/// The user that proxies run as: the redirect rules let its connections pass. Nobody's on most machines.
pub const PROXY_USER: u32 = 2102;

/// Starts `command` in a namespace, as root or as the proxies' user.
pub fn start(mut command: Command, namespace: &Namespace, as_proxy: bool) -> anyhow::Result<Process> {
    let namespace = namespace.copy()?;
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            namespace.enter()?;
            if as_proxy {
                become_proxy_user()?;
            }
            end_with_parent()
        });
    }
    Process::spawn(command)
}

/// Has `command` run as the proxies' user.
pub fn as_proxy_user(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
    unsafe { command.pre_exec(become_proxy_user) }
}

fn become_proxy_user() -> std::io::Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(PROXY_USER))?;
    Ok(setuid(Uid::from_raw(PROXY_USER))?)
}
