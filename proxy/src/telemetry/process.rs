//! Figures of the process, read from /proc when somebody asks.

use std::fs;

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::{
    metrics,
    registry::{counter, gauge, int_gauge},
};

/// Ticks of a second in /proc: USER_HZ, fixed at 100 by the kernel's interface on every architecture we build for.
const TICKS: f64 = 100.0;

pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start: Gauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            cpu: counter(registry, metrics::PROCESS_CPU),
            resident: int_gauge(registry, metrics::PROCESS_RESIDENT),
            open_fds: int_gauge(registry, metrics::PROCESS_OPEN_FDS),
            max_fds: int_gauge(registry, metrics::PROCESS_MAX_FDS),
            threads: int_gauge(registry, metrics::PROCESS_THREADS),
            start: gauge(registry, metrics::PROCESS_START, 0.0),
        }
    }

    /// What cannot be read keeps its last value.
    pub(super) fn refresh(&self) {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        if let Some(Stat { cpu, start }) = Stat::parse(&read("/proc/self/stat")) {
            self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
            let boot = field(&read("/proc/stat"), "btime").unwrap_or(0);
            self.start.set(boot as f64 + start);
        }
        let status = read("/proc/self/status");
        set(&self.resident, field(&status, "VmRSS:").map(|kilobytes| kilobytes * 1024));
        set(&self.threads, field(&status, "Threads:"));
        set(&self.max_fds, field(&read("/proc/self/limits"), "Max open files"));
        // The folder that is read is itself open while it is read.
        set(&self.open_fds, fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as i64 - 1));
    }
}

/// Seconds from /proc/self/stat (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu: f64,
    start: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in brackets, and may hold anything.
        let after_name = &text[text.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let seconds = |index: usize| Some(fields.get(index)?.parse::<u64>().ok()? as f64 / TICKS);
        Some(Self { cpu: seconds(11)? + seconds(12)?, start: seconds(19)? })
    }
}

/// The first number after this word at the start of a line.
fn field(text: &str, word: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn set(gauge: &IntGauge, value: Option<i64>) {
    if let Some(value) = value {
        gauge.set(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_does_not_confuse_the_figures() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 3 0 1234 1 1";
        assert_eq!(Stat::parse(text), Some(Stat { cpu: 3.0, start: 12.34 }));
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn figures_of_this_process_are_found() {
        let process = Process::register(&Registry::new());
        process.refresh();
        assert!(process.resident.get() > 1 << 20);
        assert!(process.threads.get() >= 1);
        assert!(process.open_fds.get() >= 3 && process.open_fds.get() < process.max_fds.get());
        assert!(process.start.get() > 1.6e9);
    }
}
