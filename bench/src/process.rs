//! Child processes: that they end with this program, and what they use.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// A process that is killed when this is dropped.
pub struct Process(pub Child);

impl Process {
    /// Starts `command`.
    pub fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("start {name}"))?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already when either fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// For a child between fork and exec, as the last step, because a change of user takes it back: the kernel kills it when
/// this program's thread is gone, however that came. One system call.
pub fn end_with_parent() -> std::io::Result<()> {
    // SAFETY: the call takes no pointer and changes nothing but this process's own setting.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
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

/// The most resident memory that a process has had.
pub fn peak_resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("a process has ended early")?;
    high_water(&status).context("/proc/PID/status is not as expected")
}

fn high_water(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    Some(kib.parse::<u64>().ok()? * 1024)
}

/// utime and stime, the 14th and 15th field; the second, a name, may have spaces and parentheses in it.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(200));
    }

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "VmPeak:\t    9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(high_water(status), Some(2 << 20));
    }
}
