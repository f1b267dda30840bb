//! Processes within a namespace: how they start, what they use, and that they end with this program.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, SysconfVar, Uid, setgid, setgroups, setuid, sysconf};

use super::namespace::Namespace;

/// The user that proxies run as: the redirect rules let its connections pass. Nobody's on most machines.
pub const PROXY_USER: u32 = 2102;

/// A process that is killed when this is dropped.
pub struct Process(pub Child);

/// Starts `command` in a namespace, as root or as the proxies' user.
pub fn start(mut command: Command, namespace: &Namespace, as_proxy: bool) -> anyhow::Result<Process> {
    let namespace = namespace.copy()?;
    // SAFETY: between fork and exec only system calls are made; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            namespace.enter()?;
            if as_proxy {
                setgroups(&[])?;
                setgid(Gid::from_raw(PROXY_USER))?;
                setuid(Uid::from_raw(PROXY_USER))?;
            }
            // Last, because a change of user takes it back.
            match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let name = command.get_program().to_string_lossy().into_owned();
    Ok(Process(command.spawn().with_context(|| format!("start {name}"))?))
}

/// Thousands of connections need as many descriptors, here and in every child.
pub fn raise_descriptor_limit() -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// User and system time and resident memory of some processes together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub resident_bytes: u64,
}

/// What they have used up to now.
pub fn usage(processes: &[Process]) -> anyhow::Result<Usage> {
    let mut sum = Usage::default();
    for process in processes {
        let one = read(process.0.id()).with_context(|| format!("process {} has ended early", process.0.id()))?;
        sum.cpu += one.cpu;
        sum.resident_bytes += one.resident_bytes;
    }
    Ok(sum)
}

fn read(pid: u32) -> anyhow::Result<Usage> {
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?)?;
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE)?.context("no page size")?)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).context("/proc/PID/stat is not as expected")?;
    let memory = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = memory.split(' ').nth(1).context("/proc/PID/statm is not as expected")?.parse()?;
    Ok(Usage { cpu: Duration::from_millis(ticks * 1000 / per_second), resident_bytes: pages * page })
}

/// utime and stime, the 14th and 15th field; the second, a name, may have spaces and parentheses in it.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already when either fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(200));
    }
}
