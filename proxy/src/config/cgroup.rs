//! The container's CPU limit, from the kernel.

use std::{fs, num::NonZeroUsize, path::Path, thread::available_parallelism};

/// Where there is no limit, more workers would only take cores from the app.
const WITHOUT_LIMIT: usize = 2;

/// The container's CPU limit rounded up; without one, the number of cores, at most 2.
pub(super) fn default_workers() -> NonZeroUsize {
    let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    choose(cpu_limit(Path::new("/")), cores)
}

fn choose(limit: Option<f64>, cores: NonZeroUsize) -> NonZeroUsize {
    let wanted = match limit {
        Some(limit) => limit.ceil() as usize,
        None => WITHOUT_LIMIT,
    };
    NonZeroUsize::new(wanted).unwrap_or(NonZeroUsize::MIN).min(cores)
}

/// CPUs that the cgroup may use, as a container sees its own: version 2, then version 1.
fn cpu_limit(root: &Path) -> Option<f64> {
    if let Ok(text) = fs::read_to_string(root.join("sys/fs/cgroup/cpu.max")) {
        let (quota, period) = text.trim().split_once(' ')?;
        return share(quota, period);
    }
    let read = |file| fs::read_to_string(root.join("sys/fs/cgroup/cpu").join(file)).ok();
    share(read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?.trim())
}

/// `max` and -1 mean no limit.
fn share(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn a_limit_is_rounded_up_and_never_above_the_machine() {
        assert_eq!(choose(Some(0.1), cores(8)), cores(1));
        assert_eq!(choose(Some(2.5), cores(8)), cores(3));
        assert_eq!(choose(Some(16.0), cores(8)), cores(8));
    }

    #[test]
    fn without_a_limit_there_are_two_at_most() {
        assert_eq!(choose(None, cores(8)), cores(2));
        assert_eq!(choose(None, cores(1)), cores(1));
    }

    #[test]
    fn both_versions_of_cgroups_are_read() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/fs/cgroup");
        fs::create_dir_all(folder.join("cpu")).unwrap();
        assert_eq!(cpu_limit(root.path()), None);
        fs::write(folder.join("cpu/cpu.cfs_quota_us"), "150000\n").unwrap();
        fs::write(folder.join("cpu/cpu.cfs_period_us"), "100000\n").unwrap();
        assert_eq!(cpu_limit(root.path()), Some(1.5));
        fs::write(folder.join("cpu.max"), "max 100000\n").unwrap();
        assert_eq!(cpu_limit(root.path()), None);
        fs::write(folder.join("cpu.max"), "50000 100000\n").unwrap();
        assert_eq!(cpu_limit(root.path()), Some(0.5));
    }
}
