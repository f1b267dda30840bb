//! The programs that are measured, copied to where the proxies' user may run them: a home folder often is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::instructions::Callgrind;

const BENCH: &str = "weft-bench";
const PROXY: &str = "weft-proxy";
const CONTROL_PLANE: &str = "weft-control-plane";
const WEFT: [&str; 2] = [PROXY, CONTROL_PLANE];

/// Copies of the programs, for as long as this lives. A build meanwhile does not change what is measured.
pub struct Programs {
    copies: tempfile::TempDir,
    callgrind: Option<Callgrind>,
}

impl Programs {
    /// This program; and Weft's own, which are beside it or in `folder`, if they are asked for.
    pub fn new(folder: Option<&Path>, with_weft: bool) -> anyhow::Result<Self> {
        let (programs, beside) = Self::only_this(None)?;
        for name in WEFT.into_iter().filter(|_| with_weft) {
            programs.copy(&folder.unwrap_or(&beside).join(name), name)?;
        }
        Ok(programs)
    }

    /// This program, the control plane beside it, and a proxy whose instructions are counted.
    pub fn counted(proxy: &Path, callgrind: Callgrind) -> anyhow::Result<Self> {
        let (programs, beside) = Self::only_this(Some(callgrind))?;
        programs.copy(proxy, PROXY)?;
        programs.copy(&beside.join(CONTROL_PLANE), CONTROL_PLANE)?;
        Ok(programs)
    }

    /// This program, and the folder that it is in.
    fn only_this(callgrind: Option<Callgrind>) -> anyhow::Result<(Self, PathBuf)> {
        let this = std::env::current_exe()?;
        let beside = this.parent().context("this program is in no folder")?;
        let copies = tempfile::Builder::new().prefix("weft-bench-programs-").tempdir().context("make a folder")?;
        fs::set_permissions(copies.path(), Permissions::from_mode(0o755))?;
        let programs = Self { copies, callgrind };
        programs.copy(&this, BENCH)?;
        Ok((programs, beside.to_owned()))
    }

    fn copy(&self, from: &Path, name: &str) -> anyhow::Result<()> {
        ensure!(from.exists(), "there is no {}: build it, or say where it is (--help)", from.display());
        let to = self.path(name);
        fs::copy(from, &to).with_context(|| format!("copy {}", from.display()))?;
        fs::set_permissions(to, Permissions::from_mode(0o755)).context("let a copy be run")
    }

    /// A command of this program.
    pub fn bench(&self, command: &str) -> Command {
        let mut program = Command::new(self.path(BENCH));
        program.arg(command);
        program
    }

    pub fn control_plane(&self) -> Command {
        Command::new(self.path(CONTROL_PLANE))
    }

    pub fn proxy(&self) -> Command {
        let path = self.path(PROXY);
        self.callgrind.as_ref().map_or_else(|| Command::new(&path), |callgrind| callgrind.command(&path))
    }

    /// How many workers a proxy has. One where instructions are counted: which one gets a connection is chance.
    pub fn workers(&self) -> u32 {
        if self.callgrind.is_some() { 1 } else { 2 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.copies.path().join(name)
    }
}
