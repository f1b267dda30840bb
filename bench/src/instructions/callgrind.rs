//! Valgrind's callgrind: runs a program and counts every instruction of its own (none of the kernel's).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::process::Process;
use crate::run::bed::give;
use crate::run::start::as_proxy_user;

/// Names under which valgrind and vgdb find each other, whoever starts them.
const NAMES: [(&str, &str); 2] = [("LOGNAME", "weft-bench"), ("HOST", "bench")];

/// Where the programs that are counted write to.
#[derive(Clone)]
pub struct Callgrind(PathBuf);

impl Callgrind {
    /// Counts go into `folder`, which becomes the proxies' user's.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        give(folder)?;
        Ok(Self(folder.canonicalize()?))
    }

    /// A command that runs `program`.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}/%p", self.0.display()));
        command.arg(format!("--vgdb-prefix={}/vgdb", self.0.display()));
        command.arg(program).envs(NAMES);
        command
    }

    /// How many instructions the process has run since this was last asked. What they were is left in the folder, for
    /// `callgrind_annotate`.
    pub fn count(&self, process: &Process) -> anyhow::Result<u64> {
        let mut vgdb = Command::new("vgdb");
        vgdb.arg(format!("--vgdb-prefix={}/vgdb", self.0.display()));
        vgdb.arg(format!("--pid={}", process.0.id())).arg("dump").envs(NAMES).stderr(Stdio::null());
        let told = as_proxy_user(&mut vgdb).output().context("start vgdb, which comes with valgrind")?;
        ensure!(told.status.success(), "vgdb could not make valgrind write its counts: {}", told.status);
        let written = self.last_of(process.0.id())?;
        let text = fs::read_to_string(&written).with_context(|| format!("read {}", written.display()))?;
        total(&text).with_context(|| format!("no totals in {}", written.display()))
    }

    /// The latest of the files `PID.NUMBER`.
    fn last_of(&self, pid: u32) -> anyhow::Result<PathBuf> {
        let exists = |number: &u32| self.0.join(format!("{pid}.{number}")).exists();
        let last = (1..).take_while(exists).last().context("callgrind has written nothing")?;
        Ok(self.0.join(format!("{pid}.{last}")))
    }
}

fn total(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_stands_in_the_last_line_of_its_kind() {
        assert_eq!(total("summary: 7\nfn=(1) totals\n1 7\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\n"), None);
    }
}
